"""Records something of everything with the OpenTelemetry SDK for Python, and sends it with the
exporters of a protocol: exporting.py grpc|http. Where to, and how, is in OTEL_EXPORTER_OTLP_*. Prints
a line for each request: the signal, and the message that the exporter sent, in base64."""

import base64
import logging
import sys

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs

if sys.argv[1] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

failed = False


def tell(signal, exporter, encode):
    """Prints what is exported, and remembers whether that worked."""
    send = exporter.export

    def export(items, *args, **named):
        global failed
        body = encode(items).SerializeToString()
        print(signal, base64.b64encode(body).decode())
        result = send(items, *args, **named)
        failed = failed or result.name != "SUCCESS"
        return result

    exporter.export = export
    return exporter


resource = Resource.create({"service.name": "exporting", "list": ["a", "b"], "n": 1})

tracers = TracerProvider(resource=resource)
tracers.add_span_processor(BatchSpanProcessor(tell("traces", OTLPSpanExporter(), encode_spans)))
tracer = tracers.get_tracer("scope", "1.2.3", "https://schema.example/1", {"of": "scope"})
attributes = {
    "text": "é", "empty": "", "int": -1, "large": 2**62, "double": 0.5, "nan": float("nan"),
    "bool": False, "texts": ["a", ""], "ints": [1, -2], "bools": [True],
}
parent = tracer.start_span("parent €𝄞", kind=trace.SpanKind.SERVER, attributes=attributes)
context = trace.set_span_in_context(parent)
parent.add_event("event", {"n": 7}, 1_780_000_000_223_456_789)
parent.record_exception(ValueError("broken"))
parent.set_status(trace.StatusCode.ERROR, "it broke")
link = trace.Link(parent.get_span_context(), {"why": "link"})
tracer.start_span("child", context, trace.SpanKind.CLIENT, links=[link]).end()
parent.end()

loggers = LoggerProvider(resource=resource)
loggers.add_log_record_processor(BatchLogRecordProcessor(tell("logs", OTLPLogExporter(), encode_logs)))
loggers.get_logger("logger", "2").emit(LogRecord(
    timestamp=1_780_000_000_000_000_001,
    observed_timestamp=1_780_000_000_000_000_002,
    context=context,
    severity_text="ERROR",
    severity_number=SeverityNumber.ERROR,
    body={"text": "é", "list": [1, 2.5, True, {"deep": b"\0\xff"}]},
    attributes={"bytes": b"\1\2", "map": {"a": {"b": [True]}}},
    event_name="shop.order",
))

view = View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation())
reader = PeriodicExportingMetricReader(
    tell("metrics", OTLPMetricExporter(), encode_metrics), export_interval_millis=3_600_000
)
meters = MeterProvider(metric_readers=[reader], resource=resource, views=[view])
meter = meters.get_meter("meter", "3")
meter.create_counter("counter", "{thing}", "things").add(3, {"a": "b"}, context)
meter.create_up_down_counter("up_down").add(-2.5)
meter.create_gauge("gauge").set(7, {"list": ["x"]})
histogram = meter.create_histogram("histogram", explicit_bucket_boundaries_advisory=[1, 10])
for value in (0.5, 5, 50):
    histogram.record(value, {}, context)
exponential = meter.create_histogram("exponential")
for value in (0, 0.001, 1, 1000):
    exponential.record(value)

for provider in (tracers, loggers, meters):
    provider.force_flush()
logging.disable()
for provider in (tracers, loggers, meters):
    provider.shutdown()
sys.exit(1 if failed else 0)
