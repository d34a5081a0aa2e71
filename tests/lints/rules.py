"""Rules of the house that no linter knows: each looks at one module's source and gives its complaints."""

import ast
import dataclasses
import re
from collections.abc import Iterator
from enum import Enum
from types import ModuleType

import msgspec

SQL = re.compile(
    r"\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s|CREATE\s+(TABLE|DATABASE|ROLE)\s|"
    r"ALTER\s+(TABLE|DATABASE|ROLE|SYSTEM)\s|TRUNCATE\s|SET\s+(LOCAL\s+)?ROLE\s|BEGIN\b|COMMIT\b|ROLLBACK\b)"
)
ENDS = re.compile(r"\s*(COMMIT|END TRANSACTION|SET\s+(SESSION\s+)?ROLE)\b", re.IGNORECASE)
# Where SQL may stand beside `store.py` and the kernel.
SQL_PLACES = {
    "operations/migrations/": "the schema itself, and what has been applied of it",
    "operations/restoring.py": "mends a restored database as its owner, before anybody runs on it",
    "operations/up.py": "lets the application's role log in to the embedded database",
    "operations/embedded/": "makes the database, before there is a schema",
}
COMMITS = "kernel/database.py"
# What reaches others over the network. PostgreSQL's driver is kept behind `kernel/database` by import contracts.
NETWORK = {
    *("aiohttp", "httpx", "requests", "urllib3", "urllib.request", "http.client", "xmlrpc.client", "websockets"),
    *("socket", "smtplib", "ftplib", "poplib", "imaplib", "telnetlib"),
}
DIALS = {
    *("open_connection", "open_unix_connection", "create_connection", "create_unix_connection"),
    *("create_datagram_endpoint", "sock_connect", "urlopen"),
}
# Where the network may be touched beside the one door out.
NETWORK_PLACES = {
    "kernel/http/": "the door",
    "operations/up.py": "looks for free ports, and asks its own children whether they answer",
    "operations/demo/receiver.py": "listens for the demo's webhooks",
}
# Libraries whose objects hold connections, sockets or state.
HOLDERS = ("asyncpg", "aiohttp", "stripe", "httptools", "limits")


def own_store(path: str, tree: ast.Module) -> Iterator[str]:
    """A noun reads no store but its own; nobody outside the domain reads a noun's store."""
    own = re.match(r"domain/(\w+)/", path)
    for module in imported(tree):
        found = re.match(r"temula\.domain\.(\w+)\.store(\.|$)", module)
        if found and (own is None or own[1] != found[1]):
            yield f"imports {module}"


def sql_in_stores(path: str, tree: ast.Module) -> Iterator[str]:
    """SQL stands in `store.py` files and in the kernel, and nowhere else."""
    if path.endswith("/store.py") or "/store/" in path or path.startswith(("kernel/", *SQL_PLACES)):
        return
    for text in texts(tree):
        if SQL.match(text):
            yield f"holds SQL: {text.strip()[:50]!r}"


def one_commit(path: str, tree: ast.Module) -> Iterator[str]:
    """Only the unit of work ends a transaction, and no role outlives one."""
    if path == COMMITS:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit":
            yield f"calls .commit() at line {node.lineno}"
    for text in texts(tree):
        if any(ENDS.match(part) for part in text.split(";")):
            yield f"ends or outlives a transaction: {text.strip()[:50]!r}"


def stores_take_a_unit(path: str, tree: ast.Module) -> Iterator[str]:
    """Each function of a store takes the unit of work first: there is no other way to the database."""
    if not path.endswith("/store.py") and "/store/" not in path:
        return
    for node in tree.body:
        if isinstance(node, ast.AsyncFunctionDef):
            first = node.args.args[0] if node.args.args else None
            if first is None or first.arg != "uow" or ast.unparse(first.annotation or ast.Name("")) != "UnitOfWork":
                yield f"{node.name} does not take `uow: UnitOfWork` first"
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield f"{node.name} is public and asks nothing of the database"


def one_door_out(path: str, tree: ast.Module) -> Iterator[str]:
    """Outbound calls are made in `kernel/http` and nowhere else: there the addresses are checked."""
    if path.startswith(tuple(NETWORK_PLACES)):
        return
    for module in imported(tree):
        if any(module == one or module.startswith(f"{one}.") for one in NETWORK):
            yield f"imports {module}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in DIALS:
            yield f"uses .{node.attr} at line {node.lineno}"


RULES = (own_store, sql_in_stores, one_commit, stores_take_a_unit, one_door_out)


def services_in(module: ModuleType) -> Iterator[str]:
    """No module builds a service when it is imported: parts are built in `operations/wiring.py` and handed on."""
    for name, value in vars(module).items():
        kind = type(value)
        ours = kind.__module__.split(".")[0] in (module.__name__.split(".")[0], "temula")
        if ours and not is_value(value):
            yield f"{name} is a {kind.__qualname__}"
        if kind.__module__.split(".")[0] in HOLDERS:
            yield f"{name} is a {kind.__module__}.{kind.__qualname__}"


def is_value(value: object) -> bool:
    """A constant: frozen, or a member of a closed set."""
    kind = type(value)
    if isinstance(value, msgspec.Struct):
        return kind.__struct_config__.frozen
    if dataclasses.is_dataclass(kind):
        return kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    return isinstance(value, tuple | Enum | type)


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names)


def texts(tree: ast.Module) -> Iterator[str]:
    """Every text of a module but its docstrings; of one with values in it, the beginning."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values[1:]}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (docs | inner):
            yield node.value
