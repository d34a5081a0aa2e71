"""Settings: one small struct a part, each field documented where it is declared, read from a file and the environment.

`TEMULA_<SECTION>_<FIELD>` wins over `[section] field` of `temula.toml` (or of the file that TEMULA_CONFIG names).
"""

import os
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeVar

import msgspec

from temula.kernel.errors import Misconfigured

P = TypeVar("P", bound="Part")


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every part's settings; `SECTION` is its name in the file and in the variables."""

    SECTION: ClassVar[str]


class Documented(NamedTuple):
    """One setting as the reference page shows it."""

    variable: str
    default: str
    description: str


class Source:
    """Where settings come from."""

    def __init__(self, environ: Mapping[str, str], table: Mapping[str, object]) -> None:
        self._environ = environ
        self._table = table

    def require_known(self, parts: Sequence[type[Part]]) -> None:
        """Refuse what no part has, in the file or under a part's name in the environment: a typo changes nothing."""
        sections = {part.SECTION for part in parts}
        unknown = [f"[{name}] in the settings file" for name in self._table if name not in sections]
        for part in parts:
            fields = {_variable(part, field) for field in part.__struct_fields__}
            unknown += [name for name in self._environ if name.startswith(_variable(part, "")) and name not in fields]
        if unknown:
            raise Misconfigured(f"There is no setting {', '.join(sorted(unknown))}; `temula settings` lists them.")

    def read(self, part: type[P]) -> P:
        """Read one part; raises `Misconfigured` that names the setting, never its value."""
        section = self._table.get(part.SECTION, {})
        if not isinstance(section, dict):
            raise Misconfigured(f"[{part.SECTION}] in the settings file must be a table.")
        values: dict[str, object] = dict(section)
        for field in part.__struct_fields__:
            if (found := self._environ.get(_variable(part, field))) is not None:
                values[field] = found
        try:
            return msgspec.convert(values, part, strict=False)
        except msgspec.ValidationError as error:
            raise Misconfigured(f"Settings of [{part.SECTION}]: {error}; `temula settings` lists them.") from None


def load(environ: Mapping[str, str] | None = None) -> Source:
    """Open the settings file, if there is one, beside the environment."""
    environ = os.environ if environ is None else environ
    path = Path(environ.get("TEMULA_CONFIG", "temula.toml"))
    if not path.exists():
        if "TEMULA_CONFIG" in environ:
            raise Misconfigured(f"The settings file {path} does not exist.")
        return Source(environ, {})
    try:
        return Source(environ, tomllib.loads(path.read_text()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"The settings file {path} is not valid TOML: {error}") from None


def document(part: type[Part]) -> list[Documented]:
    """List a part's settings for the reference page."""
    listed = []
    hints = typing.get_type_hints(part, include_extras=True)
    for field in msgspec.structs.fields(part):
        meta = [item for item in getattr(hints[field.name], "__metadata__", ()) if isinstance(item, msgspec.Meta)]
        description = meta[0].description if meta and meta[0].description else ""
        default = "required" if field.required else str(field.default)
        listed.append(Documented(_variable(part, field.name), default, description))
    return listed


def _variable(part: type[Part], field: str) -> str:
    return f"TEMULA_{part.SECTION}_{field}".upper()
