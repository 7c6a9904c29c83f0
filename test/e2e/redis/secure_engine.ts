import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ensureInstalled } from "../tools/debian.ts";
import { run } from "../tools/run.ts";
import { RedisServer } from "../tools/redis_server.ts";
import { freePorts } from "../tools/free_ports.ts";

/** What a user needs who may do nothing but what the tier does. */
const rules = "~{* resetchannels -@all +hello +auth +select +ping +exists +hget +hmget +hset +hdel +hincrby +get +set" +
  " +del +unlink +pexpire +xadd +xrange +xrevrange +zadd +zrem +zrangebylex +zcard +hkeys +hgetall +hrandfield +evalsha +eval +time +scan";

/** An engine that speaks TLS alone, to one user with a password that a URL has to escape. */
export async function secureEngine(folder: string): Promise<{ readonly engine: RedisServer; readonly url: string }> {
  ensureInstalled({ openssl: "openssl" });
  mkdirSync(folder, { recursive: true });
  const [certificate, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  run("openssl", [
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "2",
    "-keyout",
    key,
    "-out",
    certificate,
    ...subject,
  ]);
  const [tlsPort = 0] = await freePorts(1);
  const tls = [
    "--tls-port",
    String(tlsPort),
    "--tls-cert-file",
    certificate,
    "--tls-key-file",
    key,
    "--tls-auth-clients",
    "no",
  ];
  const engine = await RedisServer.start(folder, [...tls]);
  const password = "p@ss/w?rd:#";
  engine.command("acl", "setuser", "vitrine", "on", `>${password}`, ...rules.split(" "));
  engine.command("acl", "setuser", "default", "-@write", "-@scripting");
  return { engine, url: `rediss://vitrine:${encodeURIComponent(password)}@localhost:${tlsPort}/2?ca=${certificate}` };
}
