import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type CredentialSource, credentialSource, failureOf, S3Client } from "../../../src/l2/s3/client.ts";
import { inFolder } from "../support.ts";
import { errorBody, withStore } from "./store.ts";

const keys: CredentialSource = () => Promise.resolve({ accessKeyId: "AK", secretAccessKey: "hunter2" });

function clientFor(url: string, credentials = keys): S3Client {
  return new S3Client({
    settings: { bucket: "b", prefix: "p", endpoint: url, region: "eu-west-1", pathStyle: true, usageMs: 60_000 },
    credentials,
    nowMs: () => Date.UTC(2026, 0, 2, 3, 4, 5),
    onSlow() {},
  });
}

const get = { method: "GET", name: "p/-/a" } as const;

test("a request is signed for its region, path style and time", async () => {
  await withStore([{ status: 200, body: "x" }], async ({ url, asked }) => {
    const reply = await clientFor(url).send({ ...get, headers: { range: "bytes=0-14" } });
    expect([reply.status, reply.code, reply.body.toString()]).toEqual([200, "", "x"]);
    expect(asked[0]?.path).toBe("/b/p/-/a");
    expect(asked[0]?.headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AK\/20260102\/eu-west-1\/s3\/aws4_request, SignedHeaders=\S+, Signature=[0-9a-f]{64}$/,
    );
    expect(asked[0]?.headers["x-amz-date"]).toBe("20260102T030405Z");
    expect(asked[0]?.headers["accept-encoding"]).toBe("identity");
  });
});

for (
  const [what, told] of [
    ["500", { status: 500, body: errorBody("InternalError") }],
    ["503 SlowDown", { status: 503, body: errorBody("SlowDown") }],
    ["429", { status: 429 }],
    ["400 RequestTimeout", { status: 400, body: errorBody("RequestTimeout") }],
    ["409 ConditionalRequestConflict", { status: 409, body: errorBody("ConditionalRequestConflict") }],
    ["200 with an error inside", {
      status: 200,
      body: errorBody("InternalError"),
      headers: { "content-type": "application/xml" },
    }],
    ["a connection that is cut", "cut"],
  ] as const
) {
  test(`a request is sent three times at most when the answer is ${what}`, async () => {
    await withStore([told, told, { status: 200, body: "x" }], async ({ url, asked }) => {
      expect((await clientFor(url).send(get)).body.toString()).toBe("x");
      // Bun itself repeats a GET once whose connection was cut.
      if (told !== "cut") expect(asked.length).toBe(3);
    });
    await withStore([told], async ({ url, asked }) => {
      const reply = await clientFor(url).send(get).catch((error: unknown) => error);
      expect(reply).toMatchObject(told === "cut" ? { name: "S3Failure", status: 0 } : { status: told.status });
      if (told !== "cut") expect(asked.length).toBe(3);
    });
  });
}

for (
  const [status, code] of [[400, "InvalidRequest"], [403, "AccessDenied"], [404, "NoSuchKey"], [412, "X"]] as const
) {
  test(`a request is sent once when the answer is ${status} ${code}`, async () => {
    await withStore([{ status, body: errorBody(code) }], async ({ url, asked }) => {
      expect(await clientFor(url).send(get)).toMatchObject({ status, code });
      expect(asked.length).toBe(1);
    });
  });
}

test("a probe is sent once, whatever the answer", async () => {
  await withStore([{ status: 503 }], async ({ url, asked }) => {
    expect((await clientFor(url).send({ ...get, onceMs: 5000 })).status).toBe(503);
    expect(asked.length).toBe(1);
  });
});

test("a clock that the store refuses is set by the store's own time", async () => {
  const headers = { date: "Fri, 02 Jan 2026 05:00:00 GMT" };
  const refusal = { status: 403, body: errorBody("RequestTimeTooSkewed"), headers };
  await withStore([refusal, { status: 200 }], async ({ url, asked }) => {
    const client = clientFor(url);
    expect((await client.send(get)).status).toBe(200);
    expect((await client.send(get)).status).toBe(200);
    expect(asked.map((each) => each.headers["x-amz-date"]))
      .toEqual(["20260102T030405Z", "20260102T050000Z", "20260102T050000Z"]);
  });
});

test("keys that have expired are fetched anew", async () => {
  const forced: unknown[] = [];
  const source: CredentialSource = (options) => {
    forced.push(options?.forceRefresh);
    const accessKeyId = `AK${forced.length}`;
    return Promise.resolve({ accessKeyId, secretAccessKey: "s", sessionToken: `token ${forced.length}` });
  };
  await withStore([{ status: 400, body: errorBody("ExpiredToken") }, { status: 200 }], async ({ url, asked }) => {
    expect((await clientFor(url, source).send(get)).status).toBe(200);
    expect(forced).toEqual([false, true]);
    expect(asked.map(({ headers }) => headers["x-amz-security-token"])).toEqual(["token 1", "token 2"]);
  });
});

test("a failure says code, message and region, and never a key", async () => {
  const told = {
    status: 301,
    body: errorBody("PermanentRedirect", "Use the &quot;other&quot; endpoint"),
    headers: { "x-amz-bucket-region": "eu-central-1", location: "http://elsewhere" },
  };
  await withStore([told], async ({ url, asked }) => {
    const { message } = failureOf("get object", await clientFor(url).send(get));
    expect(message).toBe(
      'get object: 301 PermanentRedirect: Use the "other" endpoint (the bucket is in region eu-central-1)',
    );
    expect(asked.length).toBe(1);
  });
  const error = await clientFor("http://127.0.0.1:1").send(get).catch((cause: unknown) => String(cause));
  expect(error).toContain("GET 127.0.0.1:1");
  expect(error).not.toContain("hunter2");
});

/** Runs with these variables of AWS and no others: the SDK's chain reads them from the process. */
async function withEnv(variables: Readonly<Record<string, string>>, body: () => Promise<void>): Promise<void> {
  const before = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith("AWS_")));
  const clean = (): void => {
    for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) delete process.env[name];
  };
  clean();
  Object.assign(process.env, { ...noFiles, ...variables });
  try {
    await body();
  } finally {
    clean();
    Object.assign(process.env, before);
  }
}

const noFiles = { AWS_SHARED_CREDENTIALS_FILE: "/nowhere", AWS_CONFIG_FILE: "/nowhere" };
const expiration = new Date(Date.now() + 3_600_000).toISOString();
const found = { accessKeyId: "AK", secretAccessKey: "SK", sessionToken: "T" };

test("the keys of the environment come first", async () => {
  const env = { AWS_ACCESS_KEY_ID: "AK", AWS_SECRET_ACCESS_KEY: "SK" };
  expect(await credentialSource(env)()).toEqual({ accessKeyId: "AK", secretAccessKey: "SK", sessionToken: undefined });
  expect(await credentialSource({ ...env, AWS_SESSION_TOKEN: "T" })()).toEqual(found);
});

test("the keys of the shared files are found, by profile", async () => {
  await inFolder(async (folder) => {
    const file = join(folder, "credentials");
    writeFileSync(file, "[one]\naws_access_key_id=AK\naws_secret_access_key=SK\naws_session_token=T\n");
    await withEnv({ AWS_SHARED_CREDENTIALS_FILE: file, AWS_PROFILE: "one" }, async () => {
      expect(await credentialSource({})()).toMatchObject(found);
    });
  });
});

test("the keys of a container's role are found, with its token", async () => {
  const body = JSON.stringify({ AccessKeyId: "AK", SecretAccessKey: "SK", Token: "T", Expiration: expiration });
  await withStore([{ status: 200, body, headers: { "content-type": "application/json" } }], async ({ url, asked }) => {
    await inFolder(async (folder) => {
      const file = join(folder, "token");
      writeFileSync(file, "pod token");
      const env = {
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/v1/credentials`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file,
      };
      await withEnv(env, async () => {
        expect(await credentialSource({})()).toMatchObject(found);
        expect(asked[0]).toMatchObject({ path: "/v1/credentials", headers: { authorization: "pod token" } });
      });
    });
  });
});

test("the keys of a web identity are found", async () => {
  const body = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
    <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AK</AccessKeyId><SecretAccessKey>SK</SecretAccessKey>
    <SessionToken>T</SessionToken><Expiration>${expiration}</Expiration></Credentials>
    </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
  await withStore([{ status: 200, body, headers: { "content-type": "text/xml" } }], async ({ url }) => {
    await inFolder(async (folder) => {
      const file = join(folder, "token");
      writeFileSync(file, "web token");
      const env = {
        AWS_WEB_IDENTITY_TOKEN_FILE: file,
        AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/r",
        AWS_REGION: "eu-west-1",
        AWS_ENDPOINT_URL_STS: url,
      };
      await withEnv(env, async () => {
        expect(await credentialSource({})()).toMatchObject(found);
      });
    });
  });
});

test("the keys of an instance are found by the metadata service, version 2", async () => {
  const answers: Readonly<Record<string, string>> = {
    "PUT /latest/api/token": "imds token",
    "GET /latest/meta-data/iam/security-credentials/": "role",
    "GET /latest/meta-data/iam/security-credentials/role": JSON.stringify({
      Code: "Success",
      AccessKeyId: "AK",
      SecretAccessKey: "SK",
      Token: "T",
      Expiration: expiration,
    }),
  };
  await withStore(({ method, path }) => {
    const body = answers[`${method} ${path}`];
    return body === undefined ? { status: 404 } : { status: 200, body };
  }, async ({ url, asked }) => {
    await withEnv({ AWS_EC2_METADATA_SERVICE_ENDPOINT: url }, async () => {
      expect(await credentialSource({})()).toMatchObject(found);
      expect(asked.at(-1)?.headers["x-aws-ec2-metadata-token"]).toBe("imds token");
    });
  });
});

test("no keys anywhere is a failure that says so", async () => {
  await withEnv({ AWS_EC2_METADATA_DISABLED: "true" }, async () => {
    await expect(credentialSource({})()).rejects.toThrow("credentials");
  });
});
