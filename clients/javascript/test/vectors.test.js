// The package against the vectors that it shares with the other languages, in the form that TEMULA_PACKAGE names.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

const installed = process.env.TEMULA_PACKAGE; // a folder with the packed package in it, to test what users get
const require = createRequire(installed ? `${installed}/` : import.meta.url);
const forms = { esm: await import(installed ? `${installed}/node_modules/temula-webhooks/index.js` : "../index.js") };
if (installed) forms.cjs = require("temula-webhooks");

const { vectors } = JSON.parse(readFileSync(new URL("../../vectors.json", import.meta.url), "utf8"));
const bytes = (vector) => Buffer.from(vector.body, "base64");
const named = (name) => vectors.find((one) => one.name === name);

for (const [form, { NotGenuine, TOLERANCE, Webhook, parse }] of Object.entries(forms)) {
  for (const vector of vectors) {
    for (const headers of [vector.headers, new Headers(vector.headers)]) {
      test(`${form}: ${vector.name} (${headers.constructor.name})`, async () => {
        const webhook = new Webhook(vector.secrets, { now: () => vector.now });
        const checked = webhook[vector.style === "standard" ? "check" : "checkBody"](bytes(vector), headers);
        if (vector.expect === "ok") return checked;
        return assert.rejects(checked, (error) => error instanceof NotGenuine && error.code === vector.expect);
      });
    }
  }

  test(`${form}: a genuine request gives its message, whichever form the body has`, async () => {
    for (const [style, verb] of [["standard", "verify"], ["temula", "verifyBody"]]) {
      const vector = named(`${style}: a genuine request`);
      const webhook = new Webhook(vector.secrets[0], { now: () => vector.now });
      const body = bytes(vector);
      const exact = body.buffer.slice(body.byteOffset, body.byteOffset + body.length);
      for (const one of [body, body.toString(), new Uint8Array(body), exact]) {
        const message = await webhook[verb](one, vector.headers);
        assert.equal(message.event_type, "check_in.completed");
        assert.equal(message.timestamp.toISOString(), "2026-11-23T10:15:00.123Z");
        assert.equal(message.data.location, "Gate A");
        assert.equal(message.team_id, null);
      }
    }
  });

  test(`${form}: what is signed but says nothing is told apart from a forgery`, async () => {
    const vector = named("standard: an empty body");
    const webhook = new Webhook(vector.secrets, { now: () => vector.now });
    await assert.rejects(webhook.verify(bytes(vector), vector.headers), { code: "bad_body" });
  });

  test(`${form}: a parsed body, a bad secret and a strange message are told at once`, async () => {
    const vector = named("standard: a genuine request");
    const webhook = new Webhook(vector.secrets, { now: () => vector.now });
    await assert.rejects(webhook.verify(JSON.parse(bytes(vector)), vector.headers), TypeError);
    for (const secret of ["", "whsec_", "whsec_not base64", [], undefined, [vector.secrets[0], "whsec_="]]) {
      assert.throws(() => new Webhook(secret), TypeError);
    }
    for (const body of ["", "[]", "null", "{", '{"event_id":1}', Buffer.from([0xff])]) {
      assert.throws(() => parse(body), TypeError);
    }
  });

  test(`${form}: the system's clock and five minutes are the default`, async () => {
    assert.equal(TOLERANCE, 300);
    const vector = named("standard: a genuine request");
    const refused = new Webhook(vector.secrets).verify(bytes(vector), vector.headers);
    await assert.rejects(refused, (error) => ["too_old", "too_new"].includes(error.code));
  });

  test(`${form}: headers of Node that came twice are read by their first value`, async () => {
    const vector = named("standard: a genuine request");
    const headers = Object.fromEntries(Object.entries(vector.headers).map(([name, value]) => [name, [value]]));
    await new Webhook(vector.secrets, { now: () => vector.now }).check(bytes(vector), headers);
  });
}

test("where crypto is not global, as in Node 18, it is found", async () => {
  const vector = named("standard: a genuine request");
  const kept = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  Object.defineProperty(globalThis, "crypto", { value: undefined, configurable: true });
  try {
    await new forms.esm.Webhook(vector.secrets, { now: () => vector.now }).check(bytes(vector), vector.headers);
  } finally {
    if (kept) Object.defineProperty(globalThis, "crypto", kept);
    else delete globalThis.crypto; // Node 18 itself
  }
});
