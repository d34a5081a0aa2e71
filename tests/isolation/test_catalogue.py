"""Every table of the migrated schema, looked up in the catalogue: the wall, the keys, the rights, the comments."""

import re
import secrets
from urllib.parse import urlsplit

import asyncpg
import pytest

from temula.domain.organizations import service as organizations
from temula.domain.organizations.model import Plan
from temula.kernel.database import Database
from temula.kernel.sql import Statement
from temula.operations import auditing, migrations
from temula.operations.wiring import PLATFORM_ACTOR
from tests.harness.postgres import Postgres
from tests.isolation.conftest import Two

APP, CROSSING = migrations.APP, migrations.CROSSING
KEY = "organization_id"

# No policy: the application has no right to it at all.
UNWALLED = {"schema_migrations": "only the owner reads and writes it, when it migrates"}
# Tables of the platform itself: no organization, seen by the named crossing only.
PLATFORM = {"schema_migrations", "fact_consumers", "job_schedules", "platform_gateway_configs"}
# Unique over all organizations on purpose.
GLOBAL = {
    "api_tokens_hash": "a token is looked up before its organization is known; a hash of 192 random bits tells nothing",
    "sessions_hash": "a session is looked up before its organization is known; a hash of 256 random bits tells nothing",
}
# Ids that are no foreign keys: names of what stands above, of what the platform has, or of what may be gone.
NAMES = {
    "audit_entries.actor_id", "callbacks.connection_id", "check_ins.actor_id", "facts.event_id", "facts.team_id",
    "fact_objects.fact_id", "fact_objects.object_id", "followed_facts.fact_id", "idempotency_keys.caller_id",
    "idempotency_keys.resource_id", "organizations.twin_id",
    "payment_attempts.connection_id", "payments.event_id", "payments.registration_id", "provider_refs.connection_id",
    "provider_refs.object_id", "refunds.registration_id", "refused_scans.actor_id", "refused_scans.event_id",
    "refused_scans.ticket_id", "ticket_keys.key_id", "webhook_attempts.delivery_id", "webhook_attempts.endpoint_id",
    "webhook_attempts.event_id", "webhook_attempts.message_id", "webhook_attempts.replay_id",
    "webhook_deliveries.endpoint_id", "webhook_deliveries.message_id", "webhook_deliveries.replay_id",
    "webhook_endpoints.partner_id",
}  # fmt: skip
# Functions that run as the owner and that somebody may call: who, and why it gives nothing away.
LENT = {
    "temula_webhook_attempts_day(date)": (CROSSING, "makes one empty partition of the log, and nothing else"),
    "temula_webhook_attempts_drop_day(date)": (CROSSING, "drops one partition, whose rows it may delete anyway"),
    "temula_erase_fact(text,text,json,json)": (CROSSING, "only puts the mark of erasing into one fact's fields"),
}
# Every table has a foreign key to what it belongs to but these: the log outlives what it names, and a check on each of
# ten thousand rows a second would cost more than it finds; what waits is checked by its queue, once for many.
ALONE = {"organizations", "webhook_attempts", "webhook_deliveries"}
# What the application and the crossing may not change, however it is asked.
KEPT = {
    "audit_heads": {"SELECT"},
    "audit_entries": {"SELECT", "INSERT"},
    "facts": {"SELECT", "INSERT"},
    "fact_objects": {"SELECT", "INSERT"},
    "followed_facts": {"SELECT", "INSERT"},
}
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
RETENTION = re.compile(r"organization|platform|accounting|audit|until_done|\d+(h|d)")
# A column so named holds data of persons, unless it is listed below with what it holds instead.
PERSONAL = re.compile(
    r"(^|_)(e?mail|name|phone|ip|body|headers|answer|pdf|address|birth\w*|iban|password_hash|payload|actor_id|member_id)$"
)
IMPERSONAL = {
    "organizations.name": "of the organization",
    "teams.name": "of a team",
    "events.name": "of an event",
    "ticket_types.name": "of a ticket type",
    "checkpoints.name": "of a gate",
    "api_tokens.name": "of a token",
    "fact_consumers.name": "of a reader",
    "job_schedules.name": "of a timed job",
    "schema_migrations.name": "of a file",
    "jobs.payload": "ids only",
    "webhook_attempts.address": "of the customer's server",
    "webhook_endpoints.payload": "fat or thin",
    "webhook_endpoints.headers": "keys of the customer's server, sealed",
}


async def tables(connection: asyncpg.Connection) -> list[str]:
    found = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
        "AND relnamespace = 'public'::regnamespace ORDER BY 1"
    )
    names = [row["relname"] for row in found]
    assert len(names) > 25
    return names


async def columns(connection: asyncpg.Connection, table: str) -> list[str]:
    """Those that can be written."""
    found = await connection.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped "
        "AND attidentity <> 'a' AND attgenerated = '' ORDER BY attnum",
        table,
    )
    return [row["attname"] for row in found]


async def tried(connection: asyncpg.Connection, organization_id: str, statement: str, *args: object) -> None:
    """Run a statement as the application, for an organization; what it did is taken back if it fails."""
    async with connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {APP}")
        await connection.execute("SELECT set_config('temula.organization', $1, true)", organization_id)
        await connection.execute(statement, *args)


async def test_every_table_is_behind_the_wall(owner: asyncpg.Connection) -> None:
    """Row-level security is enabled and forced on each, and each policy checks what is read and what is written."""
    for table in await tables(owner):
        if table in UNWALLED:
            continue
        wall = await owner.fetchrow(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = $1::text::regclass", table
        )
        assert tuple(wall) == (True, True), table
        policies = await owner.fetch(
            "SELECT policyname, roles, cmd, permissive, qual, with_check FROM pg_policies WHERE tablename = $1", table
        )
        by_name = {policy["policyname"]: policy for policy in policies}
        assert all(one["qual"] and one["with_check"] and one["cmd"] == "ALL" for one in policies), table
        assert by_name["crossing"]["roles"] == [CROSSING], table
        assert ("own_organization" in by_name) == (table not in PLATFORM), table
        for name, policy in by_name.items():
            if name != "crossing":
                assert "current_setting('temula.organization'::text, true)" in policy["qual"], table
                assert policy["qual"] == policy["with_check"], table


async def test_partitions_are_reached_through_their_parent_only(owner: asyncpg.Connection, two: Two) -> None:
    """The application and the crossing have no right to a partition, and its own wall lets nobody through."""
    partitions = await owner.fetch(
        "SELECT relname, relrowsecurity, relforcerowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) "
        "AS policies FROM pg_class c WHERE relispartition AND relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    assert len(partitions) >= 4
    for one in partitions:
        assert (one["relrowsecurity"], one["relforcerowsecurity"], one["policies"]) == (True, True, 0), one["relname"]
        for role in (APP, CROSSING):
            for right in RIGHTS:
                has = await owner.fetchval("SELECT has_table_privilege($1, $2, $3)", role, one["relname"], right)
                assert not has, (role, one["relname"], right)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await tried(owner, two[0].tenant.id, f"SELECT FROM {partitions[0]['relname']}")


async def test_views_ask_as_their_reader(owner: asyncpg.Connection) -> None:
    """A view runs with its reader's rights, or it would pass the wall with its owner's."""
    views = await owner.fetch(
        "SELECT relname, reloptions FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace"
    )
    assert [view["relname"] for view in views if "security_invoker=true" not in (view["reloptions"] or [])] == []


async def test_keys_begin_with_the_organization(owner: asyncpg.Connection) -> None:
    """Primary keys and unique indexes of tenants' tables are led by it, except the global ones named with a reason."""
    indexes = await owner.fetch(
        "SELECT i.indexrelid::regclass::text AS name, t.relname AS table, i.indisprimary, "
        "(SELECT attname FROM pg_attribute WHERE attrelid = i.indrelid AND attnum = i.indkey[0]) AS first "
        "FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid "
        "WHERE i.indisunique AND NOT t.relispartition AND t.relnamespace = 'public'::regnamespace"
    )
    tenants = [one for one in indexes if one["table"] not in PLATFORM]
    assert {one["table"] for one in tenants if one["indisprimary"]} == set(await tables(owner)) - PLATFORM
    assert {one["name"] for one in tenants if one["first"] != KEY} == set(GLOBAL)


async def test_no_row_can_point_into_another_organization(owner: asyncpg.Connection) -> None:
    """Each foreign key carries the organization, first on both sides."""
    keys = await owner.fetch(
        "SELECT c.conname, c.conrelid::regclass::text AS table, "
        "(SELECT attname FROM pg_attribute WHERE attrelid = c.conrelid AND attnum = c.conkey[1]) AS from_, "
        "(SELECT attname FROM pg_attribute WHERE attrelid = c.confrelid AND attnum = c.confkey[1]) AS to_ "
        "FROM pg_constraint c WHERE c.contype = 'f'"
    )
    assert len(keys) > 25
    assert [one["conname"] for one in keys if (one["from_"], one["to_"]) != (KEY, KEY)] == []
    parents = {one["table"] for one in keys}
    assert set(await tables(owner)) - parents - PLATFORM == ALONE


async def test_a_delivery_points_to_an_endpoint_of_its_organization(owner: asyncpg.Connection, two: Two) -> None:
    """What waits has no foreign key of its own: it gets a queue in the same statement, and that has one."""
    endpoint = "whe_" + "0" * 26
    statement = (
        "INSERT INTO webhook_deliveries (organization_id, id, endpoint_id, message_id, type, next_at, created_at) "
        "VALUES ($1, 'dlv_1', $2, 'msg_1', 'x', now(), now())"
    )
    await owner.execute(
        "INSERT INTO webhook_endpoints (organization_id, id, url, description, state, types, event_ids, secret, "
        "created_at, updated_at) VALUES ($1, $2, 'https://a.example', '', 'enabled', '{*}', '{}', '', now(), now())",
        two[1].tenant.id, endpoint,
    )  # fmt: skip
    for named in (endpoint, "whe_" + "1" * 26):
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await tried(owner, two[0].tenant.id, statement, two[0].tenant.id, named)
    await tried(owner, two[1].tenant.id, statement, two[1].tenant.id, endpoint)


async def test_ids_are_foreign_keys(owner: asyncpg.Connection) -> None:
    """A column that names another row is a foreign key, or is listed as a mere name."""
    named = await owner.fetch(
        "SELECT c.relname || '.' || a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace "
        "AND a.attname LIKE '%\\_id' "
        "AND a.attnum > 0 AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f' "
        "AND a.attnum = ANY (f.conkey)) AND a.attname <> $1",
        KEY,
    )
    assert {row["name"] for row in named} == NAMES


async def test_the_application_owns_nothing_and_makes_nothing(owner: asyncpg.Connection) -> None:
    """Its roles are no superusers, pass no wall, own no object and create none."""
    for role in (APP, CROSSING):
        attributes = await owner.fetchrow(
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolinherit, rolcanlogin "
            "FROM pg_roles WHERE rolname = $1",
            role,
        )
        assert not any(attributes.values()), role
        owned = "SELECT count(*) FROM pg_shdepend WHERE deptype = 'o' AND refobjid = $1::text::regrole"
        assert await owner.fetchval(owned, role) == 0
        assert not await owner.fetchval("SELECT has_schema_privilege($1, 'public', 'CREATE')", role)
        assert not await owner.fetchval("SELECT has_database_privilege($1, current_database(), 'CREATE')", role)


async def test_making_a_table_fails(app: asyncpg.Connection) -> None:
    """The application cannot create in the schema."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute("CREATE TABLE mine (id text)")


async def test_rights_are_the_ones_meant(owner: asyncpg.Connection) -> None:
    """Audit rows and facts can only be added, heads only be read, and nobody but the owner truncates or references."""
    for table in await tables(owner):
        for role in (APP, CROSSING):
            asked = "SELECT has_table_privilege($1, $2, $3) OR ($3 = 'UPDATE' AND has_any_column_privilege($1, $2, $3))"
            has = {right for right in RIGHTS if await owner.fetchval(asked, role, table, right)}
            meant = KEPT.get(table, {"SELECT", "INSERT", "UPDATE", "DELETE"})
            if table in UNWALLED or (role == APP and table in ("fact_consumers", "platform_gateway_configs")):
                meant = set()
            if (role, table) == (APP, "job_schedules"):
                meant = {"SELECT", "INSERT", "UPDATE"}
            assert has == meant, (role, table)


async def test_functions_cannot_be_led_astray(owner: asyncpg.Connection) -> None:
    """Each pins its search_path; one that runs as the owner is nobody's to call."""
    functions = await owner.fetch(
        "SELECT oid::regprocedure::text AS name, oid, prosecdef, proconfig FROM pg_proc "
        "WHERE pronamespace = 'public'::regnamespace"
    )
    assert any(one["prosecdef"] for one in functions)
    for one in functions:
        (path,) = [item for item in one["proconfig"] or [] if item.startswith("search_path=")] or [""]
        assert path.startswith("search_path=pg_catalog"), one["name"]
        if one["prosecdef"]:
            # pg_temp is searched first unless it is named last.
            assert path.endswith("pg_temp"), one["name"]
            for role in ("public", APP, CROSSING):
                can = "SELECT has_function_privilege($1, $2::oid, 'EXECUTE')"
                lent = one["name"] in LENT and LENT[one["name"]][0] == role
                assert await owner.fetchval(can, role, one["oid"]) == lent, (role, one["name"])


async def test_without_a_setting_there_is_nothing(owner: asyncpg.Connection) -> None:
    """Every table has rows; the application sees none of them before it has named an organization, or a wrong one."""
    names = [table for table in await tables(owner) if table not in UNWALLED]
    for table in names:
        assert await owner.fetchval(f"SELECT count(*) FROM {table}") > 0, f"{table}: furnish it in the harness"
    granted = [name for name in names if name not in ("fact_consumers", "platform_gateway_configs")]
    await owner.execute(f"SET LOCAL ROLE {APP}")
    for setting in (None, "", "org_7zzzzzzzzzzzzzzzzzzzzzzzzz", "%", "' OR true --"):
        if setting is not None:
            await owner.execute("SELECT set_config('temula.organization', $1, true)", setting)
        seen = {table: await owner.fetchval(f"SELECT count(*) FROM {table}") for table in granted}
        assert seen == dict.fromkeys(granted, 0), setting


async def test_an_organization_sees_its_own_rows_only(app: asyncpg.Connection, two: Two) -> None:
    """With an organization named there are its rows and no others; they cannot be handed to another one."""
    mine, theirs = (one.tenant.id for one in two)
    await app.execute("SELECT set_config('temula.organization', $1, true)", theirs)
    walled = [table for table in await tables(app) if table not in PLATFORM]
    for table in walled:
        found = await app.fetch(f"SELECT DISTINCT organization_id FROM {table}")
        assert [row[KEY] for row in found] == [theirs], table
        if table in KEPT:
            continue
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await tried(app, theirs, f"UPDATE {table} SET organization_id = $1", mine)


async def test_rows_for_another_organization_are_refused(owner: asyncpg.Connection, two: Two) -> None:
    """A row like those that stand there, inserted under another organization's name or under none, does not go in."""
    mine, theirs = (one.tenant.id for one in two)
    for table in await tables(owner):
        if table in PLATFORM or table == "audit_heads":
            continue
        row = await owner.fetchval(f"SELECT to_jsonb(t)::text FROM {table} t WHERE organization_id = $1 LIMIT 1", mine)
        names = ", ".join(await columns(owner, table))
        insert = (
            f"INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_populate_record(NULL::{table}, $1::text::jsonb)"
        )
        for setting in (theirs, ""):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                await tried(owner, setting, insert, row)


async def test_every_table_says_how_long_and_whose(owner: asyncpg.Connection) -> None:
    """Each comment names the retention class and the columns that hold data of persons; none is forgotten."""
    found: set[str] = set()
    for table in await tables(owner):
        comment = await owner.fetchval("SELECT obj_description($1::text::regclass)", table) or ""
        said = dict(part.split("=") for part in comment.split())
        assert set(said) == {"retention", "personal"}, table
        assert RETENTION.fullmatch(said["retention"]), table
        listed = set() if said["personal"] == "none" else set(said["personal"].split(","))
        has = set(await columns(owner, table))
        assert listed <= has, table
        suspected = {name for name in has if PERSONAL.search(name)}
        found |= {f"{table}.{name}" for name in suspected - listed}
    assert found == set(IMPERSONAL)


async def test_crossing_is_left_with_the_transaction(database: Database) -> None:
    """The role that crosses gives nothing until it is taken, and is put down again with the transaction's end."""
    who, member = Statement("SELECT current_user"), Statement("SELECT pg_has_role($1, $2, $3)")
    async with database.unit(PLATFORM_ACTOR) as uow:
        assert await uow.value(who) == APP
        assert await uow.value(member, APP, CROSSING, "MEMBER")
        assert not await uow.value(member, APP, CROSSING, "USAGE")
    async with database.crossing("a test looks who it is") as uow:
        assert await uow.value(who) == CROSSING
    with pytest.raises(RuntimeError, match="on purpose"):
        async with database.crossing("a test that fails"):
            raise RuntimeError("on purpose")
    for _ in range(10):
        async with database.unit(PLATFORM_ACTOR) as uow:
            assert await uow.value(who) == APP


async def test_a_plain_owner_is_enough(server: Postgres) -> None:
    """On a managed cluster the owner is no superuser: migrations run, the wall stands, the audit chain grows."""
    role = f"temula_owner_{secrets.token_hex(4)}"
    await server.run(f"CREATE ROLE {role} LOGIN CREATEROLE NOSUPERUSER PASSWORD 'temula'")
    for lowered in (APP, CROSSING):
        await server.run(f"GRANT {lowered} TO {role} WITH ADMIN OPTION")
    try:
        async with server.database(template=None) as url:
            name = urlsplit(url).path.removeprefix("/")
            await server.run(f"ALTER DATABASE {name} OWNER TO {role}")
            plain = server.database_url(name, f"{role}:temula")
            await migrations.apply(plain)
            database = Database(plain)
            await database.open()
            try:
                await organizations.create_twins(database, name="Plain", plan=Plan.PRO, part="test")
                assert [chain.broken_at for chain in await auditing.verify(database)] == [None, None]
            finally:
                await database.close()
    finally:
        for lowered in (APP, CROSSING):
            await server.run(f"REVOKE {lowered} FROM {role} CASCADE")
        await server.run(f"DROP ROLE {role}")
