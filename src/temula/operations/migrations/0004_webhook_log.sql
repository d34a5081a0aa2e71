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

-- An attempt that was answered with 200, as nearly all are, adds to the first of these and to none of the others.
CREATE INDEX webhook_attempts_type ON webhook_attempts (organization_id, type, at);
CREATE INDEX webhook_attempts_failed ON webhook_attempts (organization_id, at) WHERE outcome <> 'delivered';
CREATE INDEX webhook_attempts_failed_endpoint ON webhook_attempts (organization_id, endpoint_id, at)
    WHERE outcome <> 'delivered';
CREATE INDEX webhook_attempts_status ON webhook_attempts (organization_id, status, at) WHERE status <> 200;
CREATE INDEX webhook_attempts_error ON webhook_attempts (organization_id, error, at) WHERE error IS NOT NULL;
