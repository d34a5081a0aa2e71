-- What Temula knows, noun by noun from the lowest up.

-- organizations
CREATE TABLE teams (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, name)
);
COMMENT ON TABLE teams IS 'retention=organization personal=none';
SELECT temula_wall('teams');

CREATE TABLE members (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    id text COLLATE "C" NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'manager', 'staff', 'viewer')),
    password_hash text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id)
);
COMMENT ON TABLE members IS 'retention=organization personal=email,name,password_hash';
CREATE UNIQUE INDEX members_email ON members (organization_id, lower(email));
CREATE INDEX members_sign_in ON members (lower(email));
SELECT temula_wall('members');

CREATE TABLE team_members (
    organization_id text COLLATE "C" NOT NULL,
    team_id text COLLATE "C" NOT NULL,
    member_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (organization_id, team_id, member_id),
    FOREIGN KEY (organization_id, team_id) REFERENCES teams ON DELETE CASCADE,
    FOREIGN KEY (organization_id, member_id) REFERENCES members ON DELETE CASCADE
);
COMMENT ON TABLE team_members IS 'retention=organization personal=member_id';
SELECT temula_wall('team_members');

-- connections
CREATE TABLE platform_gateway_configs (
    id text COLLATE "C" PRIMARY KEY,
    kind text NOT NULL,
    provider text NOT NULL,
    mode text NOT NULL CHECK (mode IN ('live', 'sandbox')),
    credentials bytea NOT NULL,
    hint text NOT NULL,
    callback_token_hash bytea NOT NULL UNIQUE,
    enabled boolean NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE platform_gateway_configs IS 'retention=platform personal=none';
CREATE UNIQUE INDEX platform_gateway_configs_default ON platform_gateway_configs (kind, mode) WHERE enabled;
SELECT temula_platform_wall('platform_gateway_configs');

CREATE TABLE payment_gateway_configs (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    provider text NOT NULL,
    mode text NOT NULL CHECK (mode IN ('live', 'sandbox')),
    credentials bytea NOT NULL,
    hint text NOT NULL,
    callback_token_hash bytea NOT NULL,
    enabled boolean NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id)
);
COMMENT ON TABLE payment_gateway_configs IS 'retention=organization personal=none';
CREATE UNIQUE INDEX payment_gateway_configs_default ON payment_gateway_configs (organization_id, kind, mode)
    WHERE enabled;
CREATE INDEX payment_gateway_configs_callback ON payment_gateway_configs (callback_token_hash);
SELECT temula_wall('payment_gateway_configs');

-- events
CREATE TABLE events (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    id text COLLATE "C" NOT NULL,
    team_id text COLLATE "C",
    name text NOT NULL,
    description text NOT NULL,
    state text NOT NULL CHECK (state IN ('draft', 'published', 'archived')),
    visibility text NOT NULL CHECK (visibility IN ('public', 'unlisted', 'private')),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL CHECK (ends_at >= starts_at),
    timezone text NOT NULL,
    venue text NOT NULL,
    currency text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, team_id) REFERENCES teams
);
COMMENT ON TABLE events IS 'retention=organization personal=none';
SELECT temula_wall('events');

-- Every fact about an event carries the team that the event belongs to when it happens.
CREATE FUNCTION temula_team_of_fact() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    SELECT team_id INTO NEW.team_id FROM public.events
    WHERE organization_id = NEW.organization_id AND id = NEW.event_id;
    RETURN NEW;
END $$;
CREATE TRIGGER team BEFORE INSERT ON facts FOR EACH ROW WHEN (NEW.event_id IS NOT NULL AND NEW.team_id IS NULL)
    EXECUTE FUNCTION temula_team_of_fact();

CREATE TABLE ticket_types (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    price bigint NOT NULL CHECK (price >= 0),
    currency text NOT NULL,
    quota integer CHECK (quota >= 0),
    taken integer NOT NULL DEFAULT 0,
    sale_starts_at timestamptz,
    sale_ends_at timestamptz,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, event_id) REFERENCES events ON DELETE CASCADE,
    CONSTRAINT within_quota CHECK (taken >= 0 AND (quota IS NULL OR taken <= quota))
) WITH (fillfactor = 50);
COMMENT ON TABLE ticket_types IS 'retention=organization personal=none';
CREATE INDEX ticket_types_event ON ticket_types (organization_id, event_id, id);
SELECT temula_wall('ticket_types');

-- payments: they stand below registrations, so the registration is a name to them, not a foreign key
CREATE TABLE payments (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    id text COLLATE "C" NOT NULL,
    registration_id text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    description text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    state text NOT NULL CHECK (state IN ('created', 'requires_action', 'processing', 'succeeded', 'failed', 'canceled',
        'expired', 'needs_review')),
    captured bigint NOT NULL DEFAULT 0,
    refunded bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT refund_within_captured CHECK (refunded >= 0 AND refunded <= captured)
);
COMMENT ON TABLE payments IS 'retention=accounting personal=none';
CREATE INDEX payments_registration ON payments (organization_id, registration_id);
SELECT temula_wall('payments');

CREATE TABLE payment_attempts (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    payment_id text COLLATE "C" NOT NULL,
    number smallint NOT NULL,
    -- The platform's connection has no row in payment_gateway_configs, so this is a name and not a foreign key.
    connection_id text COLLATE "C" NOT NULL,
    on_platform boolean NOT NULL,
    provider text NOT NULL,
    mode text NOT NULL,
    provider_key text NOT NULL,
    state text NOT NULL CHECK (state IN ('created', 'requires_action', 'processing', 'succeeded', 'failed', 'canceled',
        'expired', 'needs_review')),
    failure text,
    declines integer NOT NULL DEFAULT 0,
    next_action_kind text,
    next_action_url text,
    expires_at timestamptz NOT NULL,
    success_url text NOT NULL,
    cancel_url text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, payment_id, number),
    FOREIGN KEY (organization_id, payment_id) REFERENCES payments
);
COMMENT ON TABLE payment_attempts IS 'retention=accounting personal=none';
CREATE INDEX payment_attempts_open ON payment_attempts (organization_id, updated_at)
    WHERE state IN ('created', 'requires_action', 'processing');
SELECT temula_wall('payment_attempts');

CREATE TABLE provider_refs (
    organization_id text COLLATE "C" NOT NULL,
    connection_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    provider_ref text COLLATE "C" NOT NULL,
    object_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (organization_id, connection_id, kind, provider_ref),
    FOREIGN KEY (organization_id) REFERENCES organizations
);
COMMENT ON TABLE provider_refs IS 'retention=accounting personal=none';
CREATE INDEX provider_refs_object ON provider_refs (organization_id, object_id);
-- The platform's connection serves several organizations: what it says of a refund made by hand names none of them.
CREATE INDEX provider_refs_owner ON provider_refs (connection_id, provider_ref);
SELECT temula_wall('provider_refs');

CREATE TABLE refunds (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    payment_id text COLLATE "C" NOT NULL,
    registration_id text COLLATE "C" NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    reason text NOT NULL,
    attendee_ids text[] NOT NULL,
    state text NOT NULL CHECK (state IN ('requested', 'pending', 'requires_action', 'succeeded', 'failed', 'canceled')),
    provider_key text NOT NULL,
    failure text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, payment_id) REFERENCES payments
);
COMMENT ON TABLE refunds IS 'retention=accounting personal=none';
CREATE INDEX refunds_payment ON refunds (organization_id, payment_id);
CREATE INDEX refunds_registration ON refunds (organization_id, registration_id);
SELECT temula_wall('refunds');

CREATE TABLE payment_transactions (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    payment_id text COLLATE "C" NOT NULL,
    kind text NOT NULL CHECK (kind IN ('charge', 'refund')),
    state text NOT NULL CHECK (state IN ('succeeded', 'failed')),
    amount bigint NOT NULL,
    currency text NOT NULL,
    reference text NOT NULL,
    failure text,
    observed_key text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, payment_id, observed_key),
    FOREIGN KEY (organization_id, payment_id) REFERENCES payments
);
COMMENT ON TABLE payment_transactions IS 'retention=accounting personal=none';
SELECT temula_wall('payment_transactions');

-- registrations
CREATE TABLE registrations (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    buyer_name text NOT NULL,
    buyer_email text NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'confirmed', 'cancelled', 'refunded')),
    total bigint NOT NULL CHECK (total >= 0),
    currency text NOT NULL,
    hold_expires_at timestamptz,
    cancelled_reason text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, event_id) REFERENCES events
);
COMMENT ON TABLE registrations IS 'retention=organization personal=buyer_name,buyer_email';
CREATE INDEX registrations_event ON registrations (organization_id, event_id, id);
CREATE INDEX registrations_holds ON registrations (hold_expires_at) WHERE state = 'pending';
SELECT temula_wall('registrations');

CREATE TABLE attendees (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    registration_id text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    ticket_type_id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    price bigint NOT NULL CHECK (price >= 0),
    currency text NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'confirmed', 'cancelled', 'refunded')),
    first_checked_in_at timestamptz,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, registration_id) REFERENCES registrations,
    FOREIGN KEY (organization_id, event_id) REFERENCES events,
    FOREIGN KEY (organization_id, ticket_type_id) REFERENCES ticket_types
);
COMMENT ON TABLE attendees IS 'retention=organization personal=name,email';
CREATE INDEX attendees_registration ON attendees (organization_id, registration_id, id);
CREATE INDEX attendees_event ON attendees (organization_id, event_id, id);
SELECT temula_wall('attendees');

-- tickets
CREATE TABLE ticket_keys (
    organization_id text COLLATE "C" NOT NULL REFERENCES organizations,
    key_id bytea NOT NULL,
    public_key bytea NOT NULL,
    private_key bytea NOT NULL,
    active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, key_id)
);
COMMENT ON TABLE ticket_keys IS 'retention=organization personal=none';
CREATE UNIQUE INDEX ticket_keys_active ON ticket_keys (organization_id) WHERE active;
SELECT temula_wall('ticket_keys');

CREATE TABLE tickets (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    registration_id text COLLATE "C" NOT NULL,
    attendee_id text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    ticket_type_id text COLLATE "C" NOT NULL,
    state text NOT NULL CHECK (state IN ('issued', 'void')),
    generation smallint NOT NULL,
    code text NOT NULL,
    void_reason text,
    issued_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, attendee_id),
    FOREIGN KEY (organization_id, registration_id) REFERENCES registrations,
    FOREIGN KEY (organization_id, attendee_id) REFERENCES attendees,
    FOREIGN KEY (organization_id, event_id) REFERENCES events,
    FOREIGN KEY (organization_id, ticket_type_id) REFERENCES ticket_types
);
COMMENT ON TABLE tickets IS 'retention=organization personal=none';
CREATE INDEX tickets_registration ON tickets (organization_id, registration_id);
CREATE INDEX tickets_event ON tickets (organization_id, event_id, id);
SELECT temula_wall('tickets');

CREATE TABLE ticket_papers (
    organization_id text COLLATE "C" NOT NULL,
    ticket_id text COLLATE "C" NOT NULL,
    generation smallint NOT NULL,
    pdf bytea NOT NULL,
    PRIMARY KEY (organization_id, ticket_id),
    FOREIGN KEY (organization_id, ticket_id) REFERENCES tickets ON DELETE CASCADE
);
COMMENT ON TABLE ticket_papers IS 'retention=organization personal=pdf';
SELECT temula_wall('ticket_papers');

-- checkins
CREATE TABLE checkpoints (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, event_id, name),
    FOREIGN KEY (organization_id, event_id) REFERENCES events ON DELETE CASCADE
);
COMMENT ON TABLE checkpoints IS 'retention=organization personal=none';
SELECT temula_wall('checkpoints');

CREATE TABLE check_ins (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    checkpoint_id text COLLATE "C" NOT NULL,
    ticket_id text COLLATE "C" NOT NULL,
    attendee_id text COLLATE "C" NOT NULL,
    method text NOT NULL CHECK (method IN ('qr', 'manual', 'rfid')),
    actor_kind text NOT NULL,
    actor_id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    undone_at timestamptz,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, event_id) REFERENCES events,
    FOREIGN KEY (organization_id, checkpoint_id) REFERENCES checkpoints,
    FOREIGN KEY (organization_id, ticket_id) REFERENCES tickets,
    FOREIGN KEY (organization_id, attendee_id) REFERENCES attendees
);
COMMENT ON TABLE check_ins IS 'retention=organization personal=actor_id';
-- The one constraint that decides double scans: of all that try at the same time, one admits.
CREATE UNIQUE INDEX check_ins_once ON check_ins (organization_id, ticket_id) WHERE undone_at IS NULL;
CREATE INDEX check_ins_event ON check_ins (organization_id, event_id, id);
SELECT temula_wall('check_ins');

CREATE TABLE refused_scans (
    organization_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    checkpoint_id text COLLATE "C" NOT NULL,
    ticket_id text COLLATE "C",
    reason text NOT NULL,
    actor_kind text NOT NULL,
    actor_id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, checkpoint_id) REFERENCES checkpoints ON DELETE CASCADE
);
COMMENT ON TABLE refused_scans IS 'retention=organization personal=actor_id';
SELECT temula_wall('refused_scans');
