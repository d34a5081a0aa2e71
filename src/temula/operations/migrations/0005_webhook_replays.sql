-- Replays: acts that send again what an endpoint had, or did not get, in steps of one transaction each.

CREATE TABLE webhook_replays (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    id text COLLATE "C" NOT NULL,
    kind text NOT NULL CHECK (kind IN ('filter', 'failed', 'missing')),
    endpoint_id text COLLATE "C",
    criteria json NOT NULL,
    rate integer CHECK (rate > 0),
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'cancelled')),
    horizon bigint NOT NULL DEFAULT (pg_current_xact_id()::text)::bigint,
    delivered bigint,
    failed bigint,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, endpoint_id) REFERENCES webhook_endpoints ON DELETE CASCADE
);
COMMENT ON TABLE webhook_replays IS 'retention=90d personal=none';
COMMENT ON COLUMN webhook_replays.endpoint_id IS 'Null is every endpoint there was when it was asked for.';
COMMENT ON COLUMN webhook_replays.horizon IS 'The transaction that asked for it: facts of later ones are not for it.';
COMMENT ON COLUMN webhook_replays.delivered IS
    'Counted in the log once nothing of it can come any more; the log is kept for less long.';
CREATE INDEX webhook_replays_age ON webhook_replays (finished_at) WHERE finished_at IS NOT NULL;
SELECT temula_wall('webhook_replays');

-- One for each endpoint, so that one that is slow or paused does not keep the others waiting. The row is where its next step
-- goes on: whoever takes it locks it, and writes what it adds and how far it came together.
CREATE TABLE webhook_replay_parts (
    organization_id text COLLATE "C" NOT NULL,
    replay_id text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    state text NOT NULL DEFAULT 'counting' CHECK (state IN ('counting', 'sending', 'draining', 'removing', 'over')),
    matched bigint NOT NULL DEFAULT 0,
    added bigint NOT NULL DEFAULT 0,
    looked_to text COLLATE "C" NOT NULL DEFAULT '',
    allowance double precision NOT NULL DEFAULT 0,
    fed_at timestamptz NOT NULL,
    step_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, replay_id, endpoint_id),
    FOREIGN KEY (organization_id, replay_id) REFERENCES webhook_replays ON DELETE CASCADE,
    FOREIGN KEY (organization_id, endpoint_id) REFERENCES webhook_endpoints ON DELETE CASCADE
) WITH (fillfactor = 50);
COMMENT ON TABLE webhook_replay_parts IS 'retention=90d personal=none';
COMMENT ON COLUMN webhook_replay_parts.looked_to IS 'The last message that was looked at; ids are in the order of time.';
COMMENT ON COLUMN webhook_replay_parts.allowance IS 'How many may go at once under the rate, as it was at fed_at.';
CREATE INDEX webhook_replay_parts_due ON webhook_replay_parts (step_at) WHERE state <> 'over';
SELECT temula_wall('webhook_replay_parts');

-- What waits of a replay, and what came of it. Of what is no replay these hold nothing.
CREATE INDEX webhook_deliveries_replay ON webhook_deliveries (organization_id, replay_id, endpoint_id, next_at)
    WHERE replay_id IS NOT NULL;
CREATE INDEX webhook_attempts_replay ON webhook_attempts (organization_id, replay_id, outcome)
    WHERE replay_id IS NOT NULL;
