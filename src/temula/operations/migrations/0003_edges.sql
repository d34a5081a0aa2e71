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

-- What an endpoint has waiting, and who sends it: one worker at a time, by lease. `due_at` is never later than the earliest
-- `next_at` of what waits, so that whoever looks for work reads endpoints and not deliveries.
CREATE TABLE webhook_queues (
    organization_id text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    open boolean NOT NULL DEFAULT true,
    due_at timestamptz NOT NULL DEFAULT '-infinity',
    holder bigint NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (organization_id, endpoint_id),
    FOREIGN KEY (organization_id, endpoint_id) REFERENCES webhook_endpoints ON DELETE CASCADE
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE webhook_queues IS 'retention=organization personal=none';
COMMENT ON COLUMN webhook_queues.open IS 'Is the endpoint enabled? What is for one that is not is kept.';
COMMENT ON COLUMN webhook_queues.holder IS 'The advisory lock that the worker holds as long as it is connected.';
CREATE INDEX webhook_queues_due ON webhook_queues (due_at) WHERE open;
CREATE INDEX webhook_queues_leased ON webhook_queues (leased_until);
SELECT temula_wall('webhook_queues');

-- What waits, and nothing else: when a delivery ends its row goes, and its last attempt says how. That the endpoint is there
-- is checked by its queue, once for many deliveries: the trigger below makes no delivery without a queue.
CREATE TABLE webhook_deliveries (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    lane smallint NOT NULL DEFAULT 1 CHECK (lane IN (0, 1, 2)),
    order_key text COLLATE "C",
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    replay_id text COLLATE "C",
    PRIMARY KEY (organization_id, id)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.1,
    autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE webhook_deliveries IS 'retention=until_done personal=none';
COMMENT ON COLUMN webhook_deliveries.lane IS
    '0: check-ins; 1: everything else; 2: replays, and what was kept for an endpoint that took nothing.';
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (organization_id, endpoint_id, lane, next_at);
CREATE INDEX webhook_deliveries_order ON webhook_deliveries (organization_id, endpoint_id, order_key, id)
    WHERE order_key IS NOT NULL;
SELECT temula_wall('webhook_deliveries');

-- Whoever adds deliveries, the queue learns of them in the same transaction. The row is locked even if it needs no change:
-- a worker that gives the queue back at the same moment has either seen the deliveries or is waited for.
CREATE FUNCTION temula_enqueue_deliveries() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    INSERT INTO public.webhook_queues AS q (organization_id, endpoint_id, due_at)
    SELECT organization_id, endpoint_id, min(next_at) FROM added GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (organization_id, endpoint_id) DO UPDATE SET due_at = excluded.due_at
        WHERE q.due_at > excluded.due_at;
    RETURN NULL;
END $$;
CREATE TRIGGER enqueue AFTER INSERT ON webhook_deliveries
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION temula_enqueue_deliveries();

-- The log: one row a try, never updated but to erase a person; a partition a day, made ahead.
CREATE TABLE webhook_attempts (
    organization_id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    id text COLLATE "C" NOT NULL,
    delivery_id text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    event_id text COLLATE "C",
    number integer NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('delivered', 'retried', 'exhausted', 'gone')),
    duration_ms integer NOT NULL,
    address text,
    signatures text NOT NULL,
    request_body bytea,
    status smallint,
    response_headers bytea,
    response_body bytea,
    error text,
    replay_id text COLLATE "C",
    delivery_created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, at, id)
) PARTITION BY RANGE (at);
COMMENT ON TABLE webhook_attempts IS
    'retention=90d personal=request_body,response_headers,response_body';
COMMENT ON COLUMN webhook_attempts.outcome IS 'Any other than retried is the end of the delivery.';
COMMENT ON COLUMN webhook_attempts.signatures IS
    'webhook-signature, X-Temula-Signature, the previous one: a line each. The other headers follow from the row.';
COMMENT ON COLUMN webhook_attempts.response_headers IS 'As they came, a line each.';
COMMENT ON COLUMN webhook_attempts.request_body IS 'Only if the endpoint reshapes messages; else it is made of the fact.';
CREATE INDEX webhook_attempts_delivery ON webhook_attempts (organization_id, delivery_id, number);
CREATE INDEX webhook_attempts_endpoint ON webhook_attempts (organization_id, endpoint_id, at);
CREATE INDEX webhook_attempts_message ON webhook_attempts (organization_id, message_id, endpoint_id);
SELECT temula_wall('webhook_attempts');

-- Makes the partition of a day (UTC) if it is not there. The application makes no tables, so it runs as the owner, for the
-- crossing role alone and for nothing but this. Attaching lets the log be written meanwhile; creating in place would not.
-- Partitions are for the owner only: everybody else goes through the parent and its wall.
CREATE FUNCTION temula_webhook_attempts_day(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    name text := 'webhook_attempts_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(7323985212);
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.webhook_attempts INCLUDING ALL)', name);
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE public.webhook_attempts ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
        name, day::text || ' 00:00+00', (day + 1)::text || ' 00:00+00');
    RETURN true;
END $$;
REVOKE ALL ON FUNCTION temula_webhook_attempts_day(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION temula_webhook_attempts_day(date) TO temula_crossing;
SELECT temula_webhook_attempts_day(((now() AT TIME ZONE 'UTC')::date + n)) FROM generate_series(0, 3) n;

-- What dashboards count, by endpoint and hour, written with the attempts. `latency` counts durations: element n (from 0)
-- those of less than 1.25 ^ n milliseconds that fit into none before it; the last takes all that are longer.
CREATE TABLE webhook_hours (
    organization_id text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    hour timestamptz NOT NULL,
    attempts integer NOT NULL,
    delivered integer NOT NULL,
    retried integer NOT NULL,
    exhausted integer NOT NULL,
    gone integer NOT NULL,
    failures integer NOT NULL,
    duration_ms bigint NOT NULL,
    latency integer[] NOT NULL,
    PRIMARY KEY (organization_id, endpoint_id, hour),
    FOREIGN KEY (organization_id, endpoint_id) REFERENCES webhook_endpoints ON DELETE CASCADE
) WITH (fillfactor = 50);
COMMENT ON TABLE webhook_hours IS 'retention=organization personal=none';
CREATE INDEX webhook_hours_hour ON webhook_hours (organization_id, hour);
SELECT temula_wall('webhook_hours');
