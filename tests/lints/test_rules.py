"""The rules of the house hold everywhere, and each is shown to bite."""

import ast
import re
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

import temula
from tests.harness.statements import modules
from tests.lints import rules

ROOT = Path(temula.__file__).parent
# Module-level objects with state, each with its reason.
ONE_A_PROCESS = {"temula.kernel.ids._ticks": "the order of ids within a millisecond is a promise of the process"}

GOOD = {
    "own_store": [
        ("domain/events/service.py", "from temula.domain.events import store"),
        ("domain/events/service.py", "from temula.domain.organizations import service as organizations"),
        ("outbound/webhooks/service.py", "from temula.outbound.webhooks import store"),
    ],
    "sql_in_stores": [
        ("domain/events/store.py", 'GET = Statement("SELECT id FROM events")'),
        ("kernel/jobs.py", 'GET = Statement("SELECT id FROM jobs")'),
        ("domain/events/service.py", '"""Select what is on sale."""\nprint("Select a seat")'),
    ],
    "one_commit": [
        ("kernel/database.py", 'connection.execute("COMMIT")'),
        ("domain/events/service.py", 'uow.tell(fact)\n"""One commit."""'),
        ("outbound/api/v1/events.py", 'print("committed")'),
    ],
    "stores_take_a_unit": [
        ("domain/events/store.py", "async def get(uow: UnitOfWork, event_id: str) -> None: ..."),
        ("domain/events/store.py", "def _values(event: Event) -> tuple: ..."),
        ("domain/events/service.py", "async def read(database: Database) -> None: ..."),
    ],
    "one_door_out": [
        ("kernel/http/reaching.py", "import socket"),
        ("outbound/webhooks/jobs/delivering.py", "from temula.kernel.http import Http"),
        ("operations/sandbox.py", "import urllib.parse\nfrom http import HTTPStatus"),
    ],
}
BAD = {
    "own_store": [
        ("domain/events/service.py", "from temula.domain.organizations import store"),
        ("domain/events/service.py", "from temula.domain.organizations.store import GET"),
        ("domain/events/service.py", "import temula.domain.organizations.store"),
        ("domain/events/service.py", "def late():\n    from temula.domain.organizations import store"),
        ("outbound/console/service.py", "from temula.domain.events import store"),
    ],
    "sql_in_stores": [
        ("domain/events/service.py", 'await uow.run("DELETE FROM events")'),
        ("operations/rotation.py", 'f"UPDATE {table} SET x = 1"\nREAD = f"SELECT {x} FROM y"'),
        ("outbound/api/v1/events.py", 'QUERY = """\n  insert INTO events VALUES (1)"""'.replace("insert", "INSERT")),
    ],
    "one_commit": [
        ("domain/events/service.py", "await connection.commit()"),
        ("kernel/jobs.py", 'await connection.execute("COMMIT")'),
        ("kernel/jobs.py", 'await connection.execute("SELECT 1; commit")'),
        ("kernel/jobs.py", 'await connection.execute("SET ROLE temula_crossing")'),
    ],
    "stores_take_a_unit": [
        ("domain/events/store.py", "async def get(event_id: str, uow: UnitOfWork) -> None: ..."),
        ("domain/events/store.py", "async def get(uow: Database) -> None: ..."),
        ("domain/events/store.py", "async def get() -> None: ..."),
        ("domain/events/store.py", "def helper(x: int) -> int: ..."),
    ],
    "one_door_out": [
        ("outbound/webhooks/service.py", "import aiohttp"),
        ("inbound/kit/client.py", "from urllib import request"),
        ("inbound/kit/client.py", "from urllib.request import urlopen"),
        ("operations/wiring.py", "def late():\n    import http.client"),
        ("kernel/bell.py", "await asyncio.open_connection(host, port)"),
        ("domain/events/service.py", "from requests.sessions import Session"),
        ("outbound/console/pages.py", "import socket"),
    ],
}


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_it_holds(rule: object) -> None:
    """No module of the product breaks the rule."""
    found = [
        f"{path.relative_to(ROOT)}: {complaint}"
        for path in sorted(ROOT.rglob("*.py"))
        for complaint in rule(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text()))  # type: ignore[operator]
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_it_bites(rule: object) -> None:
    """Good samples pass it, and each bad one does not."""
    name = rule.__name__  # type: ignore[attr-defined]
    for path, text in GOOD[name]:
        assert list(rule(path, ast.parse(text))) == [], text  # type: ignore[operator]
    for path, text in BAD[name]:
        assert list(rule(path, ast.parse(text))) != [], text  # type: ignore[operator]


def test_modules_hold_constants_only() -> None:
    """Importing a module builds no service, opens nothing and keeps no state."""
    found = {
        f"{module.__name__}.{complaint}"
        for module in modules()
        if module.__name__ != "temula.operations.wiring"
        for complaint in rules.services_in(module)
    }
    assert {re.split(" is a ", one)[0] for one in found} == set(ONE_A_PROCESS)


def test_a_service_in_a_module_is_found() -> None:
    """A client, a pool or a part of ours with state is a complaint; frozen values are none."""

    class Mutable(msgspec.Struct):
        number: int

    class Frozen(msgspec.Struct, frozen=True):
        number: int

    class Service:
        pass

    sample = ModuleType("temula.sample")
    for kind in (Mutable, Frozen, Service):
        kind.__module__ = "temula.sample"
    vars(sample).update(mutable=Mutable(1), frozen=Frozen(1), service=Service(), number=1, texts=("a",), kind=Service)
    assert [complaint.split(" ")[0] for complaint in rules.services_in(sample)] == ["mutable", "service"]


def test_crossing_is_taken_for_one_transaction_only() -> None:
    """The role that sees every organization is named in one statement of the product, and that is SET LOCAL."""
    said = [
        text
        for path in sorted(ROOT.rglob("*.py"))
        for text in rules.texts(ast.parse(path.read_text()))
        if re.search(r"(^|;)\s*SET\s+(LOCAL\s+|SESSION\s+)?ROLE\b", text, re.IGNORECASE)
    ]
    assert said == ["BEGIN; SET LOCAL ROLE temula_crossing"]
