"""Every SQL statement of the product, found by walking its modules, and every place where rows are decoded."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import msgspec

import temula

SQL = re.compile(r"\s*(SELECT|INSERT\s+INTO|UPDATE\s+\w+|DELETE\s+FROM|WITH\s+\w+\s+AS)\s")


class Found(NamedTuple):
    """A statement and the module that says it; `where` is its name there, with its place inside of a tuple."""

    module: str
    where: str
    text: str

    @property
    def id(self) -> str:
        return f"{self.module.removeprefix('temula.')}.{self.where}"


class Decoding(NamedTuple):
    """A call that decodes the rows of a statement into a struct."""

    place: str
    struct: type[msgspec.Struct]
    statement: str


def modules() -> list[ModuleType]:
    """All modules of the product; `__main__` would run it."""
    names = [one.name for one in pkgutil.walk_packages(temula.__path__, "temula.")]
    return [importlib.import_module(name) for name in names if not name.endswith("__main__")]


def statements() -> list[Found]:
    """All of them, once each, where they are said first."""
    found: dict[str, Found] = {}
    for module in modules():
        said = named_statements(module)
        for name, value in vars(module).items():
            for where, text in _texts(name, value):
                if SQL.match(text) and (name in said or where != name):
                    found.setdefault(text, Found(module.__name__, where, text))
    return list(found.values())


def named_statements(module: ModuleType) -> set[str]:
    """The names that a module assigns a `Statement(...)` to; one made anywhere else than at its top is an error."""
    tree = ast.parse(inspect.getsource(module))
    calls = sum(_is_statement(node) for node in ast.walk(tree))
    tops = [node for node in tree.body if isinstance(node, ast.Assign) and _is_statement(node.value)]
    assert calls == len(tops) or module.__name__ == "temula.kernel.sealing", f"{module.__name__}: name it at the top"
    return {target.id for node in tops for target in node.targets if isinstance(target, ast.Name)}


def decodings() -> tuple[list[Decoding], list[str]]:
    """All calls of `.row(Struct, STATEMENT...)` and `.rows(...)`, and what those say that name no constants."""
    found, unread = [], []
    for module in modules():
        tree = ast.parse(inspect.getsource(module))
        names = _names(module, tree)
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr not in ("row", "rows") or len(node.args) < 2:
                continue
            place = f"{module.__name__}:{node.lineno}"
            said = ", ".join(ast.unparse(argument) for argument in node.args[:2])
            struct, statement = (_resolved(names, argument) for argument in node.args[:2])
            if isinstance(statement, str) and isinstance(struct, type):
                found.append(Decoding(place, struct, statement))
            else:
                unread.append(said)
    return found, unread


def _texts(where: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, tuple | list):
        for n, item in enumerate(value):
            yield from _texts(f"{where}[{n}]", item)


def _is_statement(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Statement"


def _names(module: ModuleType, tree: ast.Module) -> dict[str, Any]:
    """What the module's names stand for, and those that its functions import themselves."""
    names = dict(vars(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for one in node.names:
                names.setdefault(one.asname or one.name, _imported(node.module, one.name))
    return names


def _imported(module: str, name: str) -> Any:
    found = getattr(importlib.import_module(module), name, None)
    return found if found is not None else importlib.import_module(f"{module}.{name}")


def _resolved(names: dict[str, Any], node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_resolved(names, node.value), node.attr, None)
    return None
