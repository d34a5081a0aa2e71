"""Prepares the cluster that a server runs on: where it lives, whose it is, and with which programs it is made."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from temula.operations import children
from temula.operations.embedded import owner as owners
from temula.operations.embedded import programs as finding
from temula.operations.embedded.errors import EmbeddedPostgresError
from temula.operations.embedded.owner import Owner
from temula.operations.embedded.programs import Programs

# Where a cluster goes whose owner cannot get to the folder that was asked for; root's own, so nobody else moves it.
ELSEWHERE = Path("/var/lib/temula")
WHERE = "WHERE"  # a file in the folder that was asked for; it says where the cluster is instead
# A socket's address has room for 107 bytes, and PostgreSQL adds 20 to the folder's; commas and spaces part its list.
LONGEST_SOCKETS = 85
PLAIN = re.compile(r"[\w/.+-]+", re.ASCII)
ENVIRON = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


class Cluster(NamedTuple):
    """A cluster that is ready for a server to be started on it."""

    programs: Programs
    owner: Owner
    data: Path
    sockets: Path


def prepare(asked: Path, environ: Mapping[str, str]) -> Cluster:
    """Give the cluster of the folder `asked`, made if there is none; what another version wrote is not touched."""
    programs = finding.find(environ)
    home = _home(asked)
    data = home / "data"
    new = not data.exists()
    if new:
        owner = owners.of_new_cluster()
        if owners.barrier(data, owner) is not None:
            home = _elsewhere(asked, owner)
            data = home / "data"
    else:
        _check_major(programs, data)
        owner = owners.of_cluster(data)
        _check_passage(data, owner)
    programs = _reachable(programs, home, owner)
    if new:
        _make(programs, data, owner)
        if home != asked:
            (asked / WHERE).write_text(f"{home}\n")
    return Cluster(programs, owner, data, _sockets(home, owner))


def _home(asked: Path) -> Path:
    """Give where the cluster is or shall be; only the file says so, so that who removes the folder begins anew."""
    note = asked / WHERE
    if not note.exists():
        return asked
    home = Path(note.read_text().strip())
    if not (home / "data").exists():
        raise EmbeddedPostgresError(
            f"{note} says that the data is in {home}, and it is not: bring it back, or remove {note} to begin anew."
        )
    return home


def _elsewhere(asked: Path, owner: Owner) -> Path:
    """Make a home outside of `asked`: opening somebody's private folders to others is not ours to do."""
    try:
        ELSEWHERE.mkdir(mode=0o755, parents=True, exist_ok=True)
        home = Path(tempfile.mkdtemp(prefix=f"{asked.parent.name}-", dir=ELSEWHERE))
        home.chmod(0o755)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"PostgreSQL runs as {owner.name}, who cannot pass through {owners.barrier(asked / 'data', owner)}, and "
            f"{ELSEWHERE} cannot be written ({error.strerror}): set TEMULA_DATA_DIR to a folder that {owner.name} can "
            "get to."
        ) from None
    return home


def _check_major(programs: Programs, data: Path) -> None:
    try:
        written = (data / "PG_VERSION").read_text().strip()
    except PermissionError:
        return  # somebody else's, which is said when its owner is looked at
    except FileNotFoundError:
        raise EmbeddedPostgresError(f"{data} has no PostgreSQL data in it: move it away and start again.") from None
    if written == str(programs.major):
        return
    fitting = finding.of_major(int(written)) if written.isdigit() else None
    folder = fitting.folder if fitting else f"the bin folder of PostgreSQL {written}"
    raise EmbeddedPostgresError(
        f"The data in {data} was written by PostgreSQL {written}, and this is {programs}. Nothing was touched. Set "
        f"{finding.VARIABLE} to {folder} to go on with it, or move it to the new version with pg_upgrade."
    )


def _check_passage(data: Path, owner: Owner) -> None:
    if (folder := owners.barrier(data, owner)) is not None:
        raise EmbeddedPostgresError(
            f"The data in {data} belongs to {owner.name}, who cannot pass through {folder}: allow it with "
            f"`chmod o+x {folder}`, or move the data."
        )


def _reachable(programs: Programs, home: Path, owner: Owner) -> Programs:
    """Give programs that the owner can run: these, or a copy of them beside the data."""
    folder = owners.barrier(programs.folder / "postgres", owner)
    if folder is None:
        return programs
    if not programs.parts:
        raise EmbeddedPostgresError(
            f"{programs} in {programs.folder} cannot be run by {owner.name}, who cannot pass through {folder}: set "
            f"{finding.VARIABLE} to programs that everybody can run."
        )
    copy = home / f"programs-{programs.version}"
    if not copy.exists():
        draft = home / "programs.new"
        shutil.rmtree(draft, ignore_errors=True)
        for part in programs.parts:
            shutil.copytree(part, draft / part.name, symlinks=True, ignore=shutil.ignore_patterns("include", "*.pyc"))
        _open_to_all(draft)
        for old in home.glob("programs-*"):
            shutil.rmtree(old)
        draft.rename(copy)
    return programs._replace(folder=copy / programs.folder.relative_to(programs.parts[0].parent))


def _open_to_all(folder: Path) -> None:
    """Let everybody read what was installed under a strict umask; there is no secret in programs."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & 0o100 else 0o444))


def _make(programs: Programs, data: Path, owner: Owner) -> None:
    """Make a cluster beside its place and move it there, so that a crash leaves none or a whole one."""
    draft = data.with_name("data.new")
    shutil.rmtree(draft, ignore_errors=True)
    owners.make_private(draft, owner)
    command = [
        str(programs.folder / "initdb"), "-D", str(draft), "-U", "postgres", "-E", "UTF8", "--locale=C",
        "--data-checksums", "--auth-local=trust", "--auth-host=reject",
    ]  # fmt: skip
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=draft, env=ENVIRON, stdin=subprocess.DEVNULL,
        preexec_fn=children.tied(signal.SIGKILL, **owner.becoming),
    )  # fmt: skip
    if done.returncode:
        shutil.rmtree(draft, ignore_errors=True)
        said = [line for line in done.stderr.splitlines() if "error" in line or "FATAL" in line] or ["no word why"]
        raise EmbeddedPostgresError(f"No PostgreSQL cluster could be made in {data}; initdb says: {said[0]}")
    draft.rename(data)
    _keep_name(data.parent)


def _sockets(home: Path, owner: Owner) -> Path:
    """Give the private folder of the socket: in the home, or with a short name if that one's is no address."""
    folder = home / "socket"
    if len(os.fsencode(folder)) > LONGEST_SOCKETS or not PLAIN.fullmatch(str(folder)):
        digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
        folder = Path("/tmp") / f"temula-{owner.uid}-{digest}"  # noqa: S108 - private, and its owner is checked
    owners.make_private(folder, owner)
    return folder


def _keep_name(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
