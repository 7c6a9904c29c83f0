import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Config } from "../config.ts";
import { every } from "../core/clock.ts";
import { causeText, VitrineError } from "../core/errors.ts";
import type { Publish } from "../core/events.ts";
import { PolledFile } from "../core/polled_file.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { Certificate, Server } from "../runtime/runtime.ts";

/** Interval at which the files are checked. */
const LOOK_MS = 1000;

/** The certificate of a server. */
export interface OpenCertificate {
  /** The one in effect; undefined without TLS. */
  readonly current: () => Certificate | undefined;
  /** Watches the files. `onChange` is called with each new certificate. */
  watch(onChange: (certificate: Certificate) => void): void;
  close(): void;
}

/** Options of openCertificate. */
export interface OpenCertificateOptions {
  readonly publish: Publish<EventMap>;
  /** Called with failures to renew if observability is off. */
  readonly reportError: (error: unknown) => void;
}

/** Reads the configured certificate and its key. Rejects with VitrineError (bad_request) if they cannot be used. */
export async function openCertificate(
  config: Config,
  { publish, reportError }: OpenCertificateOptions,
): Promise<OpenCertificate> {
  const { tlsCert, tlsKey } = config;
  if (tlsCert === undefined || tlsKey === undefined) return { current: () => undefined, watch() {}, close() {} };
  let tell = (_certificate: Certificate): void => {};
  let stopLooking = () => {};
  const files = new PolledFile<Certificate>({
    name: `certificate from ${tlsCert} and ${tlsKey}`,
    read: async () => JSON.stringify(await Promise.all([tlsCert, tlsKey].map((path) => readFile(path, "utf8")))),
    parse: (text) => parseCertificate(text, `${tlsCert}, ${tlsKey}`),
    onChange(changed) {
      // If the runtime refuses it, this throws, and it counts as a failure.
      tell(changed);
      current = changed;
      publish("tls.certificate.changed", { outcome: "loaded" });
    },
    onFailure(error) {
      publish("tls.certificate.changed", { outcome: "failed", error: causeText(error) });
      if (!config.observability) reportError(error);
    },
  });
  let current = await files.load();
  return {
    current: () => current,
    watch(onChange) {
      tell = onChange;
      stopLooking = every(LOOK_MS, () => void files.poll());
    },
    close: () => stopLooking(),
  };
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * Checks what was read, so that files that are half written, or do not belong together, replace nothing. Throws
 * VitrineError (bad_request), whose text shows nothing of the key.
 */
function parseCertificate(text: string, paths: string): Certificate {
  const [cert = "", key = ""]: readonly string[] = JSON.parse(text);
  const failure = (reason: string, cause?: unknown) =>
    new VitrineError("bad_request", `read certificate from ${paths}: ${reason}`, { cause });
  const blocks = cert.match(CERTIFICATE) ?? [];
  if (blocks.length === 0) throw failure("no certificate in it");
  if (blocks.length !== cert.split("-----BEGIN").length - 1) throw failure("a certificate is cut off");
  let isPair: boolean | undefined;
  try {
    const [own] = blocks.map((block) => new X509Certificate(block));
    isPair = own?.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw failure("the certificate or its key cannot be parsed", cause);
  }
  if (isPair !== true) throw failure("the key is not that of the certificate");
  return { cert, key };
}

/**
 * A listener whose certificate can be renewed: the runtimes cannot give a listener another one, so a new listener takes
 * its place on the same port. Connections that are open keep theirs.
 */
export class RenewableListener implements Pick<Server, "address" | "stop"> {
  readonly #listen: (certificate: Certificate | undefined) => Server;
  readonly #retired = new Set<Server>();
  #current: Server;
  #certificate: Certificate | undefined;

  /** `listen` opens a listener, on a port that several can share. */
  constructor(listen: (certificate: Certificate | undefined) => Server, certificate: Certificate | undefined) {
    this.#listen = listen;
    this.#current = listen(certificate);
    this.#certificate = certificate;
  }

  get address(): Server["address"] {
    return this.#current.address;
  }

  /** New connections get this certificate. Throws, and changes nothing, if the runtime refuses it. */
  renew(certificate: Certificate): void {
    if (certificate.cert === this.#certificate?.cert && certificate.key === this.#certificate.key) return;
    const old = this.#current;
    this.#current = this.#listen(certificate);
    this.#certificate = certificate;
    this.#retired.add(old);
    void old.retire().then(() => this.#retired.delete(old));
  }

  /** As Server.stop. */
  async stop(options?: Parameters<Server["stop"]>[0]): Promise<number> {
    const cut = await Promise.all([this.#current, ...this.#retired].map((server) => server.stop(options)));
    return cut.reduce((sum, each) => sum + each, 0);
  }
}
