-- What stands at the edges: callbacks of providers, callers' tokens and sessions, webhook endpoints and deliveries.

CREATE TABLE callbacks (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    id text COLLATE "C" NOT NULL,
    connection_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    provider text NOT NULL,
    dedupe_key text COLLATE "C" NOT NULL,
    headers json NOT NULL,
    body bytea NOT NULL,
    state text NOT NULL CHECK (state IN ('received', 'done', 'ignored', 'parked')),
    last_error text,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, connection_id, dedupe_key)
);
COMMENT ON TABLE callbacks IS 'retention=90d personal=headers,body';
CREATE INDEX callbacks_age ON callbacks (received_at);
CREATE INDEX callbacks_unfinished ON callbacks (received_at) WHERE state IN ('received', 'parked');
SELECT temula_wall('callbacks');

CREATE TABLE api_tokens (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    id text COLLATE "C" NOT NULL,
    hash bytea NOT NULL,
    name text NOT NULL,
    hint text NOT NULL,
    abilities text[] NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id)
);
COMMENT ON TABLE api_tokens IS 'retention=organization personal=none';
CREATE UNIQUE INDEX api_tokens_hash ON api_tokens (hash);
SELECT temula_wall('api_tokens');

CREATE TABLE sessions (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    member_id text COLLATE "C" NOT NULL,
    hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, member_id) REFERENCES members ON DELETE CASCADE
);
COMMENT ON TABLE sessions IS 'retention=30d personal=member_id';
CREATE UNIQUE INDEX sessions_hash ON sessions (hash);
SELECT temula_wall('sessions');

CREATE TABLE webhook_endpoints (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    id text COLLATE "C" NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    state text NOT NULL CHECK (state IN ('enabled', 'paused', 'disabled')),
    state_reason text,
    types text[] NOT NULL,
    event_ids text[] NOT NULL,
    team_id text COLLATE "C",
    filter json,
    payload text NOT NULL DEFAULT 'fat' CHECK (payload IN ('fat', 'thin')),
    mask text[] NOT NULL DEFAULT '{}',
    headers bytea,
    rate_limit integer CHECK (rate_limit > 0),
    max_concurrency integer CHECK (max_concurrency > 0),
    order_by text NOT NULL DEFAULT 'none' CHECK (order_by IN ('none', 'registration', 'ticket')),
    metadata json NOT NULL DEFAULT '{}',
    partner_id text COLLATE "C",
    granted_types text[],
    granted_event_ids text[],
    secret bytea NOT NULL,
    previous_secret bytea,
    previous_until timestamptz,
    failures integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    since bigint NOT NULL DEFAULT (pg_current_xact_id()::text)::bigint,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, team_id) REFERENCES teams,
    CHECK (partner_id IS NULL OR granted_types IS NOT NULL)
);
COMMENT ON TABLE webhook_endpoints IS 'retention=organization personal=none';
COMMENT ON COLUMN webhook_endpoints.since IS 'The transaction that made it: facts of earlier ones are not for it.';
COMMENT ON COLUMN webhook_endpoints.granted_event_ids IS 'What a partner may hear of; null is every event.';
COMMENT ON COLUMN webhook_endpoints.deleted_at IS 'Hidden and silent; it stays as long as its log.';
SELECT temula_wall('webhook_endpoints');

CREATE TABLE webhook_deliveries (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'delivered', 'exhausted')),
    attempts integer NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    replay smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, endpoint_id, message_id, replay),
    FOREIGN KEY (organization_id, endpoint_id) REFERENCES webhook_endpoints ON DELETE CASCADE
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE webhook_deliveries IS 'retention=90d personal=none';
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (organization_id, endpoint_id, id);
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (organization_id, finished_at)
    WHERE finished_at IS NOT NULL;
SELECT temula_wall('webhook_deliveries');

CREATE TABLE webhook_attempts (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    delivery_id text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    at timestamptz NOT NULL,
    duration_ms integer NOT NULL,
    address text,
    request_headers json NOT NULL,
    status smallint,
    response_headers json,
    response_body bytea,
    error text,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, delivery_id) REFERENCES webhook_deliveries ON DELETE CASCADE
);
COMMENT ON TABLE webhook_attempts IS 'retention=90d personal=request_headers,response_headers,response_body';
CREATE INDEX webhook_attempts_delivery ON webhook_attempts (organization_id, delivery_id, number);
CREATE INDEX webhook_attempts_age ON webhook_attempts (at);
SELECT temula_wall('webhook_attempts');
