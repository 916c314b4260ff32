/**
 * Certificates and keys for TLS, from files that somebody else renews.
 *
 * @module
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { Log } from "./problems.ts";
import { watchFiles } from "./watched-files.ts";

/** PEM texts. */
export interface TlsMaterial {
  /** Certificates to trust instead of the well-known ones. */
  readonly ca?: string;
  /** The client's own certificate, and those between it and its authority. */
  readonly cert?: string;
  /** Its private key. */
  readonly key?: string;
}

/** Files in PEM form; `cert` and `key` go together. */
export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Gives the material of now: the same object for as long as it stays as it is. */
export type TlsSource = () => TlsMaterial;

/** For servers that the well-known authorities vouch for, and that ask for no certificate. */
export const NO_MATERIAL: TlsMaterial = {};

/**
 * Material from files. A change that makes no sense (a file is gone, is no PEM, or a key does not
 * belong to its certificate) is refused and said once; the material before stays.
 *
 * @throws Error when the files make no sense from the start, with the file's name.
 */
export function watchTls(files: TlsFiles, log: Log): TlsSource {
  const kinds = (["ca", "cert", "key"] as const).filter((kind) => files[kind] !== undefined);
  if (kinds.length === 0) return () => NO_MATERIAL;
  const paths = kinds.map((kind) => files[kind]!);
  return watchFiles({
    paths,
    make: (texts) => {
      const material = Object.fromEntries(kinds.map((kind, index) => [kind, texts[index]]));
      check(material, files);
      return material;
    },
    what: `the TLS material of ${paths.join(", ")}`,
    log,
  });
}

function check(material: TlsMaterial, files: TlsFiles): void {
  if (material.ca !== undefined) certificate(material.ca, files.ca!);
  if (material.cert !== undefined && material.key !== undefined) {
    const own = certificate(material.cert, files.cert!);
    const key = parse(
      () => createPrivateKey(material.key!),
      `${files.key} holds no private key ` +
        "in PEM form without a passphrase",
    );
    if (!own.checkPrivateKey(key)) {
      throw new Error(
        `the key in ${files.key} does not belong to the certificate in ${files.cert}`,
      );
    }
  }
  // What the runtime itself has against it.
  createSecureContext(material);
}

/** The first certificate of a file that may hold many. */
function certificate(text: string, path: string): X509Certificate {
  return parse(() => new X509Certificate(text), `${path} holds no certificate in PEM form`);
}

/** Errors of parsers name neither the file nor what was wanted. */
function parse<T>(make: () => T, message: string): T {
  try {
    return make();
  } catch {
    throw new Error(message);
  }
}
