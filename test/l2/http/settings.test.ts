import { expect, test } from "bun:test";
import { redactUrl } from "../../../src/config/value_format.ts";
import { httpSettings } from "../../../src/l2/http/settings.ts";
import { checkTiers } from "../../../src/l2/mod.ts";
import { TierUrl } from "../../../src/l2/url.ts";

function read(text: string) {
  const url = new TierUrl(text);
  const settings = httpSettings(url);
  url.finish();
  return settings;
}

test("httpSettings reads origin, prefix, tenant and the place of the token", () => {
  expect(read("http://central:8080")).toEqual({
    origin: "http://central:8080",
    prefix: "",
    tenant: undefined,
    token: undefined,
  });
  expect(read("https://Central/?token-file=/run/token&tenant=a%20b")).toEqual({
    origin: "https://central",
    prefix: "",
    tenant: "a b",
    token: { file: "/run/token" },
  });
  expect(read("https://[::1]:8443/ci/%C3%BC%2F?token-env=TOKEN&tenant=")).toEqual({
    origin: "https://[::1]:8443",
    prefix: "ci/ü/",
    tenant: "",
    token: { variable: "TOKEN" },
  });
});

for (
  const [url, named] of [
    ["http:central:8080", "http://host:port"],
    ["http://", "http://host:port"],
    ["http://central:99999", "http://host:port"],
    ["https://me:hidden@central", "token-file"],
    ["https://hidden@central", "token-file"],
    ["https://central?token=hidden", "token-file"],
    ["https://central?token-file=/a&token-env=B", "not both"],
    ["https://central?token-file=", "empty"],
    ["https://central?tenant=%C3%BC", "ASCII"],
    ["https://central?max=1GiB", "max"],
    ["https://central?coherence=off", "coherence"],
    ["https://central?compress=zstd", "compress"],
    ["https://central?encrypt=aes-gcm&key-file=/k", "compress"],
  ] as const
) {
  test(`checkTiers names what is wrong, and no secret, when given ${url}`, () => {
    const message = (() => {
      try {
        checkTiers([url], 1);
        return "";
      } catch (error) {
        return String(error);
      }
    })();
    expect(message).toContain(named);
    expect(message).not.toContain("hidden");
  });
}

test("checkTiers refuses the same place twice, whatever its token is", () => {
  expect(() => checkTiers(["http://a:1/x?token-env=A", "http://A:1/x?token-env=B&name=b"], 1)).toThrow("twice");
  checkTiers(["http://a:1/x", "http://a:1/y", "http://a:2/x", "http://a:1/x?tenant=t"], 8);
});

test("redactUrl hides what may be a secret in a URL, where none is allowed", () => {
  for (
    const url of ["https://me:hidden@central", "https://central?token=hidden", "https://central?token-file=hidden"]
  ) {
    expect(redactUrl(url)).not.toContain("hidden");
  }
});
