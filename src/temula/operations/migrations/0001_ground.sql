-- The ground every noun stands on: the tenant wall, organizations' key, facts, audit, jobs, idempotency.

-- Each table's comment names how long its rows are kept, and its columns that hold data of persons or copies of such.
COMMENT ON TABLE schema_migrations IS 'retention=platform personal=none';

-- Every tenant table goes through this: forced row-level security, the organization's rows only, and the named way
-- across for the role temula_crossing. `rights` are what the application may do.
CREATE FUNCTION temula_wall(tbl regclass, rights text DEFAULT 'SELECT, INSERT, UPDATE, DELETE') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tbl);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tbl);
    EXECUTE format(
        'CREATE POLICY own_organization ON %s USING (organization_id = current_setting(''temula.organization'', true)) '
        'WITH CHECK (organization_id = current_setting(''temula.organization'', true))', tbl);
    EXECUTE format('CREATE POLICY crossing ON %s TO temula_crossing USING (true) WITH CHECK (true)', tbl);
    EXECUTE format('GRANT %s ON %s TO temula_app, temula_crossing', rights, tbl);
END $$;

-- A table of the platform itself has no organization: only the named crossing sees it.
CREATE FUNCTION temula_platform_wall(tbl regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tbl);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tbl);
    EXECUTE format('CREATE POLICY crossing ON %s TO temula_crossing USING (true) WITH CHECK (true)', tbl);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO temula_crossing', tbl);
END $$;

REVOKE ALL ON FUNCTION temula_wall(regclass, text), temula_platform_wall(regclass) FROM PUBLIC;

CREATE TABLE organizations (
    organization_id text COLLATE "C" PRIMARY KEY CHECK (organization_id ~ '^org_[0-7][0-9a-hjkmnp-tv-z]{25}$'),
    name text NOT NULL,
    mode text NOT NULL CHECK (mode IN ('live', 'sandbox')),
    twin_id text COLLATE "C",
    plan text NOT NULL CHECK (plan IN ('free', 'starter', 'pro', 'enterprise')),
    requests_per_minute integer CHECK (requests_per_minute > 0),
    features text[] NOT NULL DEFAULT '{}',
    platform_payments boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE organizations IS 'retention=organization personal=none';
COMMENT ON COLUMN organizations.platform_payments IS 'May payments fall back to the platform''s connection?';
SELECT temula_wall('organizations');

CREATE TABLE facts (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    transaction bigint NOT NULL DEFAULT (pg_current_xact_id()::text)::bigint,
    position bigint GENERATED ALWAYS AS IDENTITY,
    id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    public boolean NOT NULL,
    team_id text COLLATE "C",
    event_id text COLLATE "C",
    occurred_at timestamptz NOT NULL,
    data json NOT NULL,
    PRIMARY KEY (organization_id, transaction, position)
);
COMMENT ON TABLE facts IS 'retention=organization personal=none';
CREATE INDEX facts_order ON facts (transaction, position);
CREATE INDEX facts_id ON facts (organization_id, id);
CREATE INDEX facts_time ON facts (occurred_at);
SELECT temula_wall('facts', 'SELECT, INSERT');

CREATE TABLE fact_consumers (
    name text PRIMARY KEY,
    transaction bigint NOT NULL DEFAULT 0,
    position bigint NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 1,
    leased_until timestamptz NOT NULL,
    holder bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE fact_consumers IS 'retention=platform personal=none';
COMMENT ON COLUMN fact_consumers.holder IS 'The advisory lock that who reads now holds as long as it is connected.';
SELECT temula_platform_wall('fact_consumers');

-- A follower's effect and its row here are one transaction: a fact that is read again after a crash or a rewind does
-- nothing twice.
CREATE TABLE followed_facts (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    follower text COLLATE "C" NOT NULL,
    fact_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (organization_id, follower, fact_id)
);
COMMENT ON TABLE followed_facts IS 'retention=organization personal=none';
SELECT temula_wall('followed_facts', 'SELECT, INSERT');

CREATE TABLE audit_heads (
    organization_id text COLLATE "C" PRIMARY KEY REFERENCES organizations,
    sequence bigint NOT NULL,
    hash bytea NOT NULL
);
COMMENT ON TABLE audit_heads IS 'retention=audit personal=none';
SELECT temula_wall('audit_heads', 'SELECT');

CREATE TABLE audit_entries (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    sequence bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    actor_kind text NOT NULL,
    actor_id text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    changes json,
    previous bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (organization_id, sequence)
);
COMMENT ON TABLE audit_entries IS 'retention=audit personal=actor_id';
SELECT temula_wall('audit_entries', 'SELECT, INSERT');

-- Runs as the owner, because the application may not touch the heads of the chains. It acts for the row's organization
-- and for no other: the policy's setting is put back before it returns.
CREATE FUNCTION temula_chain_audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('temula.organization', true), '');
BEGIN
    PERFORM set_config('temula.organization', NEW.organization_id, true);
    INSERT INTO public.audit_heads AS h (organization_id, sequence, hash)
    VALUES (NEW.organization_id, 1, '\x')
    ON CONFLICT (organization_id) DO UPDATE SET sequence = h.sequence + 1
    RETURNING h.sequence, h.hash INTO NEW.sequence, NEW.previous;
    NEW.hash := sha256(NEW.previous || convert_to(concat_ws(E'\x1f', NEW.organization_id, NEW.sequence::text, NEW.id,
        to_char(NEW.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), NEW.actor_kind, NEW.actor_id, NEW.action,
        NEW.target), 'UTF8') || '\x1f' || convert_to(coalesce(NEW.changes::text, ''), 'UTF8'));
    UPDATE public.audit_heads SET hash = NEW.hash WHERE organization_id = NEW.organization_id;
    PERFORM set_config('temula.organization', before, true);
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION temula_chain_audit() FROM PUBLIC;
CREATE TRIGGER chain BEFORE INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION temula_chain_audit();

CREATE TABLE jobs (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    payload json NOT NULL,
    dedupe text COLLATE "C",
    state text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'running', 'dead')),
    tries integer NOT NULL DEFAULT 0,
    tries_left integer NOT NULL,
    run_at timestamptz NOT NULL,
    last_error text,
    PRIMARY KEY (organization_id, id)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE jobs IS 'retention=until_done personal=none';
CREATE INDEX jobs_due ON jobs (run_at) WHERE state IN ('ready', 'running');
CREATE UNIQUE INDEX jobs_once ON jobs (organization_id, kind, dedupe) WHERE dedupe IS NOT NULL;
SELECT temula_wall('jobs');

CREATE TABLE job_schedules (
    name text PRIMARY KEY,
    next_at timestamptz NOT NULL
);
COMMENT ON TABLE job_schedules IS 'retention=platform personal=none';
-- A scheduler ticks inside the platform's own unit of work, so that the tick and its job are one transaction.
SELECT temula_platform_wall('job_schedules');
CREATE POLICY platform ON job_schedules TO temula_app
    USING (current_setting('temula.organization', true) = 'org_00000000000000000000000000')
    WITH CHECK (current_setting('temula.organization', true) = 'org_00000000000000000000000000');
GRANT SELECT, INSERT, UPDATE ON job_schedules TO temula_app;

CREATE TABLE idempotency_keys (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    caller_id text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    created_at timestamptz NOT NULL,
    resource_id text COLLATE "C",
    status smallint,
    answer bytea,
    PRIMARY KEY (organization_id, caller_id, key)
);
COMMENT ON TABLE idempotency_keys IS 'retention=72h personal=answer';
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
SELECT temula_wall('idempotency_keys');

INSERT INTO organizations (organization_id, name, mode, plan, created_at)
VALUES ('org_00000000000000000000000000', 'Temula platform', 'live', 'enterprise', now());
