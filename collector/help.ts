/**
 * What `collect --help` says after the list of flags.
 *
 * @module
 */

/** Examples, variables and exit codes. */
export const helpText = `
Without paths, looks at OTLP_MMAP_DIR and SDK_MMAP_EXPORTER_FILE if they are set, and otherwise at
the default place, /dev/shm/otlp-mmap-<uid> on Linux (as root: that of every user). A file or
directory that does not exist yet is waited for. Without an endpoint, each span is printed as one
line on standard output; what goes wrong is said on standard error.

One collector reads a file. While another one does, following waits for it and says who it is; with
--once that is an error.

Examples:
  otlp-mmap collect                                     print the spans of everything that runs
  otlp-mmap collect --endpoint http://localhost:4318    send them to a backend
  otlp-mmap collect --once app.otlp                     what a dead application left, then end
  otlp-mmap collect '/var/lib/app/*.otlp' /run/traces   files of a glob, and a directory
  otlp-mmap collect --endpoint https://otlp.example.com --header authorization='Bearer …'

Environment (a flag wins over a variable, and one with TRACES_ after OTLP_ over one without):
  OTEL_EXPORTER_OTLP_ENDPOINT            as --endpoint
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT     the exact URL, nothing appended
  OTEL_EXPORTER_OTLP_HEADERS             key=value,key=value with percent-encoded values
  OTEL_EXPORTER_OTLP_COMPRESSION         as --compression
  OTEL_EXPORTER_OTLP_TIMEOUT             as --timeout (a plain number is milliseconds)
  OTEL_EXPORTER_OTLP_PROTOCOL            as --protocol
  OTEL_EXPORTER_OTLP_CERTIFICATE         PEM file: certificates to trust
  OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE  PEM file: the certificate to show
  OTEL_EXPORTER_OTLP_CLIENT_KEY          PEM file: its private key
  OTLP_MMAP_DIR                          directory of the files, when no path is given
  SDK_MMAP_EXPORTER_FILE                 the file, when no path is given
  NO_COLOR                               print without colours

Retrying: while the backend can't be reached or answers 429, 502, 503 or 504, batches are tried
again, for ever while following, for up to 60 seconds with --once. Other refusals are final.

Exit codes:
  0  everything was delivered, or following was ended by SIGINT or SIGTERM
  1  something could not be delivered
  2  a bad argument or variable, or a named file that is missing (with --once) or can't be read
`;
