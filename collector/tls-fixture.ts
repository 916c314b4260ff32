/**
 * A certificate for "localhost" that signs itself, and its key, for tests of https on this machine
 * only. Made with: openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes
 * -days 36500 -subj /CN=localhost -addext subjectAltName=DNS:localhost
 *
 * @module
 */

/** PEM. */
export const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBlDCCATugAwIBAgIUJhan0C71DxtVNmIpYEPCw8LWuF4wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTAxMTM0N1oYDzIxMjYxMDI4
MDExMzQ3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATao9ewMbqPqMKMM6oRW7rGBSXjQ9QQfi+UdrsMioAv/JhUm/r4yFvg
uFIud/w7pdHnejzwY/0WeeR8NskZnxhYo2kwZzAdBgNVHQ4EFgQUK4sHMyUYs5YH
rebhNB/SCP7md60wHwYDVR0jBBgwFoAUK4sHMyUYs5YHrebhNB/SCP7md60wFAYD
VR0RBA0wC4IJbG9jYWxob3N0MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwID
RwAwRAIgBR2J0ZlIphTaODFsAgwdJja1HVDBS7/y98sNQhIM9QECIGdyK+ymZrsX
0rs0VDY6eB0VpJ5caR1GdCDwkl9P/4XR
-----END CERTIFICATE-----
`;
/** PEM. Guards nothing. */
export const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/FwXikMb5ZuZQU9L
BXf5WE73Wn0E2qLU0xXmsoPkebmhRANCAATao9ewMbqPqMKMM6oRW7rGBSXjQ9QQ
fi+UdrsMioAv/JhUm/r4yFvguFIud/w7pdHnejzwY/0WeeR8NskZnxhY
-----END PRIVATE KEY-----
`;
