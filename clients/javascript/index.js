// Verify the webhooks that Temula sends, with nothing but Web Crypto: Node 18 and newer, Deno, Bun, workers, browsers.

/** Seconds that two clocks may differ by, and a request may have been on its way. */
export const TOLERANCE = 300;

/**
 * The request is not one that Temula sent just now; `code` says why: missing_header, bad_timestamp, too_old, too_new,
 * bad_signature, or bad_body if it is signed but no message.
 */
export class NotGenuine extends Error {
  constructor(code, detail) {
    super(detail);
    this.name = "NotGenuine";
    this.code = code;
  }
}

/** Verifies what comes to one endpoint. Give an array of the new and the previous secret while you rotate. */
export class Webhook {
  #secrets;
  #keys;
  #tolerance;
  #now;

  constructor(secrets, { tolerance = TOLERANCE, now = () => Date.now() / 1000 } = {}) {
    const given = Array.isArray(secrets) ? secrets : [secrets];
    if (given.length === 0) throw new TypeError("Give the endpoint's signing secret (whsec_...).");
    this.#keys = given.map(keyOf);
    this.#secrets = given.map((secret) => new TextEncoder().encode(secret));
    this.#tolerance = tolerance;
    this.#now = now;
  }

  /** Give the message of a genuine request; `body` is the raw body, before any parsing. */
  async verify(body, headers) {
    await this.check(body, headers);
    return messageOf(body);
  }

  /** Check the Standard Webhooks headers: they sign id, time and body. */
  async check(body, headers) {
    const id = required(headers, "webhook-id");
    const stamp = required(headers, "webhook-timestamp");
    const signatures = required(headers, "webhook-signature");
    this.#checkTime(stamp);
    const signed = joined(new TextEncoder().encode(`${id}.${stamp}.`), bytesOf(body));
    const given = signatures.split(" ").map((text) => (text.startsWith("v1,") ? fromBase64(text.slice(3)) : null));
    await requireAny(this.#keys, signed, given);
  }

  /**
   * Give the message of a request whose X-Temula-Signature fits. That header signs the body alone: it does not tell a
   * request of now from a copy of an old one. Prefer `verify`.
   */
  async verifyBody(body, headers) {
    await this.checkBody(body, headers);
    return messageOf(body);
  }

  /** Check X-Temula-Signature, and -Previous if a secret is being rotated. */
  async checkBody(body, headers) {
    const given = [required(headers, "x-temula-signature"), header(headers, "x-temula-signature-previous")];
    await requireAny(this.#secrets, bytesOf(body), given.map(fromHex));
  }

  #checkTime(stamp) {
    if (!/^[0-9]{1,12}$/.test(stamp)) {
      throw new NotGenuine("bad_timestamp", "The header webhook-timestamp is not a number of seconds.");
    }
    const late = this.#now() - Number(stamp);
    if (late > this.#tolerance) {
      throw new NotGenuine("too_old", `The request was signed ${Math.round(late)} seconds ago; is this clock right?`);
    }
    if (late < -this.#tolerance) {
      throw new NotGenuine("too_new", `The request was signed in ${Math.round(-late)} seconds; is this clock right?`);
    }
  }
}

/** Read a body whose signature was checked; throws a TypeError if it is no message of Temula. */
export function parse(body) {
  let told;
  try {
    told = JSON.parse(typeof body === "string" ? body : new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw new TypeError("The body is not JSON.");
  }
  if (!isObject(told)) throw new TypeError("The body is not a JSON object.");
  for (const name of ["event_id", "event_type", "timestamp", "organization_id"]) {
    if (typeof told[name] !== "string") throw new TypeError(`The body has no text "${name}".`);
  }
  const { event_id, event_type, organization_id, team_id = null, data = {} } = told;
  if (!(team_id === null || typeof team_id === "string") || !isObject(data)) {
    throw new TypeError("The body's team_id is not text, or its data is not an object.");
  }
  const timestamp = new Date(told.timestamp);
  if (Number.isNaN(timestamp.getTime())) throw new TypeError("The body's timestamp cannot be read.");
  return Object.freeze({ event_id, event_type, timestamp, organization_id, team_id, data });
}

function messageOf(body) {
  try {
    return parse(body);
  } catch (error) {
    throw new NotGenuine("bad_body", error.message);
  }
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function keyOf(secret) {
  const key = typeof secret === "string" ? fromBase64(secret.replace(/^whsec_/, "")) : null;
  if (key === null || key.length === 0) throw new TypeError("A signing secret is whsec_ and base64; copy it whole.");
  return key;
}

function bytesOf(body) {
  if (typeof body === "string") return new TextEncoder().encode(body);
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  throw new TypeError("Give the raw body, as text or bytes: a parsed one has lost what was signed.");
}

function joined(head, tail) {
  const whole = new Uint8Array(head.length + tail.length);
  whole.set(head);
  whole.set(tail, head.length);
  return whole;
}

/** Find a header in a Headers object, or in a plain one as Node and frameworks have it. */
function header(headers, name) {
  if (typeof headers.get === "function") return headers.get(name) ?? "";
  const found = Object.keys(headers).find((key) => key.toLowerCase() === name);
  const value = found === undefined ? "" : headers[found];
  return String((Array.isArray(value) ? value[0] : value) ?? "");
}

function required(headers, name) {
  const value = header(headers, name);
  if (value === "") throw new NotGenuine("missing_header", `The request has no header ${name}.`);
  return value;
}

/** Compare all with all, in constant time each, so that the time taken says nothing about which fitted. */
async function requireAny(keys, signed, given) {
  const subtle = await webCrypto();
  let fits = false;
  for (const raw of keys) {
    const key = await subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
    for (const signature of given) {
      const one = await subtle.verify("HMAC", key, signature ?? new Uint8Array(), signed);
      fits = one || fits;
    }
  }
  if (!fits) throw new NotGenuine("bad_signature", "No signature fits: is it this endpoint's secret, and the raw body?");
}

async function webCrypto() {
  // Node 18 has it, but not yet where everybody else does.
  return (globalThis.crypto ?? (await import("node:crypto")).webcrypto).subtle;
}

/** Strict: the one text that stands for these bytes, or null. */
function fromBase64(text) {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return null;
  const binary = atob(text);
  return btoa(binary) === text ? Uint8Array.from(binary, (sign) => sign.charCodeAt(0)) : null;
}

function fromHex(text) {
  if (!/^(?:[0-9a-f]{2})+$/.test(text)) return null;
  return Uint8Array.from(text.match(/../g), (pair) => Number.parseInt(pair, 16));
}
