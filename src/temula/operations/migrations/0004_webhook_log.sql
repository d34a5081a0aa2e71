-- What the webhook log is searched by.

-- Which objects a fact is about, written with it. A row an object, since behind the wall an index of arrays cannot be used.
CREATE TABLE fact_objects (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    object_id text COLLATE "C" NOT NULL,
    fact_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (organization_id, object_id, fact_id)
);
COMMENT ON TABLE fact_objects IS 'retention=organization personal=none';
SELECT temula_wall('fact_objects', 'SELECT, INSERT');

-- An attempt that was answered with 200, as nearly all are, adds to the first of these and to none of the others. Those hold
-- all that is asked of an attempt, so that thousands can be looked at without reading the rows, which lie far apart.
CREATE INDEX webhook_attempts_type ON webhook_attempts (organization_id, type, at);
CREATE INDEX webhook_attempts_failed ON webhook_attempts (organization_id, at, id)
    INCLUDE (endpoint_id, type, status, outcome, error, message_id) WHERE outcome <> 'delivered';
CREATE INDEX webhook_attempts_failed_endpoint ON webhook_attempts (organization_id, endpoint_id, at, id)
    INCLUDE (type, status, outcome, error, message_id) WHERE outcome <> 'delivered';
CREATE INDEX webhook_attempts_status ON webhook_attempts (organization_id, status, at, id)
    INCLUDE (endpoint_id, type, outcome, error, message_id) WHERE status <> 200;
CREATE INDEX webhook_attempts_error ON webhook_attempts (organization_id, error, at, id)
    INCLUDE (endpoint_id, type, status, outcome, message_id) WHERE error IS NOT NULL;

-- Days that are over, added up from their hours, so that a month is read in a moment. How far they reach is told by the last.
CREATE TABLE webhook_days (
    organization_id text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    day timestamptz NOT NULL,
    attempts bigint NOT NULL,
    delivered bigint NOT NULL,
    failures bigint NOT NULL,
    retried bigint NOT NULL,
    latency bigint[] NOT NULL,
    PRIMARY KEY (organization_id, endpoint_id, day),
    FOREIGN KEY (organization_id, endpoint_id) REFERENCES webhook_endpoints ON DELETE CASCADE
);
COMMENT ON TABLE webhook_days IS 'retention=organization personal=none';
CREATE INDEX webhook_days_day ON webhook_days (organization_id, day);
CREATE INDEX webhook_days_last ON webhook_days (day);
CREATE INDEX webhook_hours_last ON webhook_hours (hour);
SELECT temula_wall('webhook_days');
