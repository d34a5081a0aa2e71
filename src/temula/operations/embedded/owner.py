"""Whom the server runs as: PostgreSQL refuses root, so root lends it to a user of its own that cannot log in."""

import os
import pwd
import shutil
import stat
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from temula.operations.embedded.errors import EmbeddedPostgresError

SERVICE_USER = "temula-postgres"
# Where no user can be made: that of a system PostgreSQL (on macOS with an underscore), else the one that owns nothing.
OTHERS = ("postgres", "_postgres", "nobody")


class Owner(NamedTuple):
    """A user of this system; its server's files are its own."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        """Give its name, or its number in words if it has none."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return f"user {self.uid}"

    @property
    def becoming(self) -> dict[str, int]:
        """Give what `children.tied` needs so that a child becomes this user; nothing if we are it."""
        return {} if self.uid == os.geteuid() else {"uid": self.uid, "gid": self.gid}


def of_new_cluster() -> Owner:
    """Give who shall own a cluster that is not there yet."""
    if os.geteuid() == 0:
        return _service()
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise EmbeddedPostgresError(
            f"User {os.geteuid()} has no name on this system and initdb wants one: add a line for it to /etc/passwd, "
            "start as root or as another user, or set TEMULA_DATABASE_URL to a running server."
        ) from None
    return Owner(os.geteuid(), os.getegid())


def of_cluster(data: Path) -> Owner:
    """Give who runs the cluster in `data`: who owns it. Only root can become somebody else."""
    status = data.stat()
    owner = Owner(status.st_uid, status.st_gid)
    if os.geteuid() == 0:
        return _take_over(data) if owner.uid == 0 else owner
    if owner.uid != os.geteuid():
        raise EmbeddedPostgresError(
            f"The data in {data} belongs to {owner.name}: start Temula as that user or as root, or give it to "
            f"yourself with `sudo chown -R {os.geteuid()} {data}`."
        )
    return owner


def barrier(path: Path, owner: Owner) -> Path | None:
    """Give the first folder above `path` that this user cannot pass through, or None."""
    # Links are passed through twice: where they are, and where they lead.
    for folder in sorted({*path.parents, *path.resolve().parents}, key=lambda folder: len(folder.parts)):
        status = folder.stat()
        if owner.uid == status.st_uid:
            passes = status.st_mode & stat.S_IXUSR
        elif owner.gid == status.st_gid:
            passes = status.st_mode & stat.S_IXGRP
        else:
            passes = status.st_mode & stat.S_IXOTH
        if not passes:
            return folder
    return None


def make_private(folder: Path, owner: Owner) -> None:
    """Make a new folder, or check one that is there, that only this user (and root) can look into.

    Everything is done through the opened folder, so nobody can put another one in its place meanwhile.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        raise EmbeddedPostgresError(f"{folder} is not a folder of ours: remove it and start again.") from None
    try:
        if os.fstat(opened).st_uid not in {owner.uid, os.geteuid()}:
            raise EmbeddedPostgresError(f"{folder} belongs to somebody else: remove it and start again.")
        os.fchmod(opened, 0o700)
        if owner.becoming:
            os.fchown(opened, owner.uid, owner.gid)
    finally:
        os.close(opened)


def _service() -> Owner:
    for name in (SERVICE_USER, *OTHERS):
        entry = _named(name)
        if entry is None and name == SERVICE_USER:
            _make_service_user()
            entry = _named(name)
        if entry is not None and entry.uid != 0:
            return entry
    raise EmbeddedPostgresError(
        f"PostgreSQL does not run as root, and no user could be made for it: make one with `useradd --system "
        f"{SERVICE_USER}`, or start Temula as another user."
    )


def _named(name: str) -> Owner | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Owner(entry.pw_uid, entry.pw_gid)


def _make_service_user() -> None:
    nologin = shutil.which("nologin", path="/usr/sbin:/sbin:/usr/bin:/bin") or "/bin/false"
    search = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    if tool := shutil.which("useradd", path=search):
        command = [tool, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        command += ["--shell", nologin, SERVICE_USER]
    elif tool := shutil.which("adduser", path=search):  # Busybox
        command = [tool, "-S", "-D", "-H", "-h", "/nonexistent", "-s", nologin, SERVICE_USER]
    else:
        return
    # Whether it worked is seen by looking the user up; another process may have made it in the same moment.
    subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL)


def _take_over(data: Path) -> Owner:
    """Give root's cluster (a backup unpacked by root, say) to the service user; what is in it is all root's."""
    owner = _service()
    for folder, names, files in os.walk(data):
        for name in (*names, *files):
            os.chown(Path(folder, name), owner.uid, owner.gid, follow_symlinks=False)
    os.chown(data, owner.uid, owner.gid)
    return owner
