/** Says something through the API's diag logger at two levels. */
import { diag } from "@opentelemetry/api";

diag.info("worth knowing");
diag.debug("not worth knowing");
