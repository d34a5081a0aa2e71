-- How a day of the log goes, and how a person's data goes from what was said.

-- Drops the partition of a day (UTC) if it is there. The application drops no tables, so it runs as the owner, for the
-- crossing role alone, which may delete the rows anyway. Who writes the log must not wait: the lock is given up at once if
-- somebody holds it, and asked for again by the caller.
CREATE FUNCTION temula_webhook_attempts_drop_day(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '50ms' AS $$
DECLARE
    name text := 'webhook_attempts_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_inherits WHERE inhparent = 'public.webhook_attempts'::regclass
            AND inhrelid = to_regclass('public.' || name)
    ) THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE public.%I', name);
    RETURN true;
END $$;
REVOKE ALL ON FUNCTION temula_webhook_attempts_drop_day(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION temula_webhook_attempts_drop_day(date) TO temula_crossing;

-- Up to when an organization's log has been forgotten. It cannot be reckoned from days: its plan may be another than it was.
CREATE TABLE webhook_log_begins (
    organization_id text COLLATE "C" PRIMARY KEY REFERENCES organizations,
    at timestamptz NOT NULL
);
COMMENT ON TABLE webhook_log_begins IS 'retention=organization personal=none';
SELECT temula_wall('webhook_log_begins');

-- Facts are never changed, but to erase a person: the data is written anew if it is still what the caller has read, has the
-- same fields, and says where something is gone. It acts for the row's organization and for no other: the policy's setting
-- is put back before it returns.
CREATE FUNCTION temula_erase_fact(organization text, fact text, was json, erased json) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('temula.organization', true), '');
    written boolean;
BEGIN
    IF position('[erased]' IN erased::text) = 0
        OR ARRAY(SELECT json_object_keys(was)) IS DISTINCT FROM ARRAY(SELECT json_object_keys(erased)) THEN
        RAISE EXCEPTION 'only erasing changes a fact' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM set_config('temula.organization', organization, true);
    UPDATE public.facts SET data = erased WHERE organization_id = organization AND id = fact AND data::text = was::text;
    written := FOUND;
    PERFORM set_config('temula.organization', before, true);
    RETURN written;
END $$;
REVOKE ALL ON FUNCTION temula_erase_fact(text, text, json, json) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION temula_erase_fact(text, text, json, json) TO temula_crossing;

COMMENT ON TABLE facts IS 'retention=organization personal=data';
COMMENT ON COLUMN facts.data IS 'Ids, and reasons that people typed: they can name somebody.';
