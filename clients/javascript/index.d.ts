/** Seconds that two clocks may differ by, and a request may have been on its way. */
export declare const TOLERANCE: 300;

export type Refusal =
  | "missing_header"
  | "bad_timestamp"
  | "too_old"
  | "too_new"
  | "bad_signature"
  | "bad_body";

/** The request is not one that Temula sent just now; `code` says why. */
export declare class NotGenuine extends Error {
  readonly code: Refusal;
  constructor(code: Refusal, detail: string);
}

/** One message. `event_id` is the same each time it is sent: remember it, and do nothing the second time. */
export interface Message<Data = Record<string, unknown>> {
  readonly event_id: string;
  readonly event_type: string;
  readonly timestamp: Date;
  readonly organization_id: string;
  readonly team_id: string | null;
  readonly data: Data;
}

export type Body = string | ArrayBuffer | ArrayBufferView;
export type HeadersLike =
  | { get(name: string): string | null | undefined }
  | { readonly [name: string]: string | readonly string[] | undefined };

export interface Options {
  /** In seconds; 300 if left out. */
  tolerance?: number;
  /** Seconds since 1970; for tests. */
  now?: () => number;
}

/** Verifies what comes to one endpoint. Give an array of the new and the previous secret while you rotate. */
export declare class Webhook {
  constructor(secrets: string | readonly string[], options?: Options);
  /** Give the message of a genuine request; `body` is the raw body. Rejects with `NotGenuine`. */
  verify<Data = Record<string, unknown>>(body: Body, headers: HeadersLike): Promise<Message<Data>>;
  /** Check the Standard Webhooks headers: they sign id, time and body. Rejects with `NotGenuine`. */
  check(body: Body, headers: HeadersLike): Promise<void>;
  /** Like `verify` by X-Temula-Signature, which signs the body alone: a copy of an old request passes. */
  verifyBody<Data = Record<string, unknown>>(body: Body, headers: HeadersLike): Promise<Message<Data>>;
  /** Check X-Temula-Signature, and -Previous if a secret is being rotated. Rejects with `NotGenuine`. */
  checkBody(body: Body, headers: HeadersLike): Promise<void>;
}

/** Read a body whose signature was checked; throws a TypeError if it is no message of Temula. */
export declare function parse<Data = Record<string, unknown>>(body: Body): Message<Data>;
