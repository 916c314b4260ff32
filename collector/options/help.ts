/**
 * What `collect --help` says after the list of flags.
 *
 * @module
 */

/** Examples, variables and exit codes. */
export const helpText = `
Without paths, looks at OTLP_MMAP_DIR and SDK_MMAP_EXPORTER_FILE if they are set, and otherwise at
the default place, /dev/shm/otlp-mmap-<uid> on Linux (as root: that of every user), and at what a
killed "otlp-mmap run" of this user has left beside it. A file or directory that does not exist yet
is waited for. Without an endpoint, everything is stored, and shown on
a page whose address is said on standard error. --print prints each span, log record and data point as one
line on standard output, as --once does without an endpoint.

Files of other users are passed, wherever they were found, since anybody may have put them there; root
takes those that are in a directory of their own user. --other-users takes them all.

One collector reads a file. While another one does, following waits for it and says who it is; with
--once that is an error.

Examples:
  otlp-mmap collect                                     show the telemetry of everything that runs
  otlp-mmap collect --otlp-receiver                     … and of programs in any language
  otlp-mmap collect --print                             a line for each span, log record and point
  otlp-mmap collect --endpoint http://localhost:4318    send them to a backend
  otlp-mmap collect --endpoint http://localhost:4318 --ui
                                                        both
  otlp-mmap collect --endpoint http://a:4318 --endpoint http://b:4318
                                                        send everything to both
  otlp-mmap collect --protocol grpc --endpoint http://localhost:4317
  otlp-mmap collect --endpoint http://a:4318 --logs-endpoint http://b:3100/otlp/v1/logs
                                                        log records to another
  otlp-mmap collect --once app.otlp                     what a dead application left, then end
  otlp-mmap collect '/var/lib/app/*.otlp' /run/traces   files of a glob, and a directory
  otlp-mmap collect --endpoint https://otlp.example.com --header authorization='Bearer …'

Environment. A flag wins over a variable, and a variable with TRACES_, METRICS_ or LOGS_ after OTLP_,
which is for one signal, over the one without:
  OTEL_EXPORTER_OTLP_ENDPOINT            as --endpoint
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT     as --traces-endpoint; the same with METRICS_ and LOGS_
  OTEL_EXPORTER_OTLP_HEADERS             key=value,key=value with percent-encoded values
  OTEL_EXPORTER_OTLP_COMPRESSION         as --compression
  OTEL_EXPORTER_OTLP_TIMEOUT             as --timeout (a plain number is milliseconds)
  OTEL_EXPORTER_OTLP_PROTOCOL            as --protocol
  OTEL_EXPORTER_OTLP_INSECURE            true: as --insecure
  OTEL_EXPORTER_OTLP_CERTIFICATE         as --ca-file
  OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE  as --client-cert-file
  OTEL_EXPORTER_OTLP_CLIENT_KEY          as --client-key-file
  HTTP_PROXY, HTTPS_PROXY, ALL_PROXY     http:// proxy for such endpoints; it is sent the
                                         user:password@ of its URL
  NO_PROXY                               hosts reached without one, parted by commas: *, names (with
                                         those below them), addresses, networks, each with or
                                         without :port; lower case of all four works and wins
  OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE
                                         cumulative, delta or lowmemory; unset: as the application
                                         defined each metric
  OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION
                                         explicit_bucket_histogram or
                                         base2_exponential_bucket_histogram; unset: likewise
  OTEL_METRICS_EXEMPLAR_FILTER           trace_based (default), always_on or always_off
  OTLP_MMAP_DIR                          directory of the files, when no path is given
  SDK_MMAP_EXPORTER_FILE                 the file, when no path is given
  OTLP_MMAP_HEALTH                       as --health
  OTLP_MMAP_SPOOL                        as --spool; none: as --no-spool
  NO_COLOR                               print without colours

Signals: each is sent for itself, and one that its backend is slow with, or does not take (404, 405
or 501: refused, and counted), does not hold up the others. An --endpoint that ends in /v1/traces,
/v1/metrics or /v1/logs is taken for what it is without. With gRPC an endpoint is a URL without a
path, https:// with TLS and http:// without, or HOST:PORT, with TLS unless --insecure. Its port is
4317 when none is given, after https:// 443; and UNIMPLEMENTED is what 404 is to HTTP.

One signal: --traces-endpoint, --metrics-endpoint and --logs-endpoint are for one signal alone, which then
goes there and to no --endpoint. They are exact URLs: nothing is appended (with gRPC as above). With these
alone, signals that have none are refused, and counted. --traces-protocol and so on stand in place of
--protocol; --traces-header and so on add to --header, and replace what has the same name. What is for
one signal wins over what is for all where both are flags, both in the configuration file or both
variables; a flag wins over the file, and the file over variables, whatever they are for.

Several endpoints: with --endpoint repeated everything is sent to each, with the same protocol,
headers, token and certificates; a signal that has endpoints of its own, to each of those instead. One that is slow or away does not hold up the others: what it has not
taken waits for it alone in the spool (see there). Without one (--no-spool), up to 64 requests of a
signal (or 64 MiB) may wait for it longer than for the fastest, then the oldest of them are dropped
for it alone, and counted; only when none keeps up, records wait in the files. With --once nothing is
dropped for lagging.

Durations are 500ms, 10s, 1.5s, 2m or 1h; a plain number is milliseconds.

Metrics: points of a living process have the time at which they were collected, those of a process
that is over the last time that it recorded. They are sent every --metrics-interval, with --once, at
the end, and when their process is over.

Configuration: the file of --config says everything that flags say under "collect:", and views,
processors and tail sampling; see "otlp-mmap config --help". Flags win over the file, the file over
variables. SIGHUP has it read again, without losing a record; a file that is wrong is refused, and
what was before stays. Without a file SIGHUP ends the collector, as SIGTERM does.

Without effect: what is given and has none beside the other options, such as --metrics-interval with
--once, is said at the start. Where it can't be meant it is an error: --otlp-http-port without
--otlp-receiver, certificates where no endpoint is reached with TLS. Variables are not looked at.

Secrets: the file of --bearer-token-file holds a token and nothing else; it is sent as
"authorization: Bearer …". It and the files with certificates and keys are looked at once a second
at most; while a new one is unreadable or bad, the one before is used.

Store: --store keeps everything in a database (SQLite), beside the endpoints or, where there is none,
alone; ask it with "otlp-mmap sql". Its file is $XDG_STATE_HOME/otlp-mmap/store.db, by default in
~/.local/state, root's /var/lib/otlp-mmap/store.db, or what is named: as --store=FILE, since a path
after a space might be one to read. One collector writes it. The oldest goes first, by
--store-max-age and --store-max-size (500MB, 1GiB). While its disk is full, records stay in the files.

Retrying: while the backend can't be reached or answers 429, 502, 503 or 504, batches are tried
again, for ever while following, for up to 60 seconds with --once. Other refusals are final. With
gRPC these are CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS, and
RESOURCE_EXHAUSTED when the backend says how long to wait.

Spool: requests are stored on a disk before they are sent, and stay there until an endpoint took or
refused them: an outage of the backend, and any end of the collector, costs none. They are sent in
the order of storing, each signal for itself, and one after the other; an endpoint that takes 40 ms
and more for each gets up to 4 at a time of traces and logs, while it works. Default place:
$XDG_STATE_HOME/otlp-mmap/spool, for root /var/lib/otlp-mmap/spool, otherwise
~/.local/state/otlp-mmap/spool, where that is on a disk and not in memory. Several collectors may share
it; what a dead one left is sent by another. With --once there is a spool only where --spool names it:
what could not be sent is there for the next collector.
Each of several endpoints, and the database of --store, has one of its own too, in endpoints/HOST-HASH
of that directory. --spool-max-size (1MiB and more) is for all of it: one that is away may take all that
the others need not, and beyond it the oldest of whichever endpoint and signal has most are dropped, and
counted under its name. What waits for an endpoint that is no longer named is said at the start, and
kept until --spool-max-age; it is sent when the endpoint is named again. Those that are named always
have half of the size.

Journal: in the spool's directory, of what was taken from files and is not in a request yet: open
spans, sums. A collector that is killed or stopped goes on with it at the next start, where each
series goes on too; without a spool there is none. It has some 64 MiB, and more where open spans and
series do. Of several collectors with one spool only the first has it. While it can't be written, the
disk being full, nothing is taken, and the applications' files hold what they have room for.

Health: --health :13133 (or 13133: this machine only; port 0: one that is free, which is then said)
answers /healthz with 200 while the collector finishes rounds, /readyz with 200 when it looks for
files and each backend took the last request of each signal, if there was one, and with 503 and the
reasons otherwise; and /metrics for Prometheus. Files whose owner is gone are summed there.
--self-metrics sends the same figures as OTLP, of the service otlp-mmap-collector.

Receiver: --otlp-receiver takes OTLP of programs in any language, at the ports they send to unless
told otherwise: 4318 for HTTP (protobuf and JSON) and 4317 for gRPC, gzip or not, of this machine
only; --otlp-receiver 0.0.0.0 takes it from everywhere, without TLS and without asking who it is.
What comes goes the same way as what is in files, and is answered when the endpoint has answered (with
tail sampling, spans when they are held). While the endpoint is away, senders are told to come again.
A port that another program has is said and gone without. Pages in a browser can't send to it,
unless --otlp-allow-origin names where they come from.

Store and page: what is stored stays for --store-max-age, up to --store-max-size, in a database that
one collector writes (default: $XDG_STATE_HOME/otlp-mmap/store.db, for root /var/lib/otlp-mmap/store.db,
otherwise ~/.local/state/otlp-mmap/store.db); "otlp-mmap sql" asks it. --store alone stores and serves no
page. The page is for whoever opens the address that is printed, with its token, on this machine
(--ui ADDRESS: of that address, without TLS); with --log-format json that address is in a file beside the
database instead, which only this user can read. Its API is described at /api/openapi.json; programs send
the token as "Authorization: Bearer …". A port that another program has is said and gone without. A
database that can't be used is left as it is: where nothing else is to do the collector ends, and what
applications record stays in their files.

Prometheus: --prometheus :9464 answers /metrics with the metrics of all processes that live, as of
now, named and labelled as OpenTelemetry's rules for Prometheus say; exponential histograms as
histograms with the bounds of their buckets; all of them cumulative. What is sent to the endpoint
stays as it is; metrics whose temporality is delta are kept twice for that.

Exit codes:
  0  everything was delivered, or following was ended by SIGINT or SIGTERM
  1  something could not be delivered
  2  a bad argument or variable, an address that can't be listened at, or a named file that is
     missing (with --once) or can't be read, or a store that can't be used
`;
