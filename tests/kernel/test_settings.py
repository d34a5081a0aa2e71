"""Settings: read from the environment over a file; what nobody reads is refused rather than ignored."""

from pathlib import Path

import pytest

from temula.kernel.errors import Misconfigured
from temula.kernel.settings import load
from temula.operations.configuration import configure


def test_the_environment_wins(tmp_path: Path) -> None:
    """A variable counts before the file, the file before the default."""
    file = tmp_path / "temula.toml"
    file.write_text('[server]\nport = 81\nhost = "::1"\n')
    read = configure(load({"TEMULA_CONFIG": str(file), "TEMULA_SERVER_PORT": "82"}))
    assert (read.server.port, read.server.host, read.server.environment) == (82, "::1", "sandbox")


@pytest.mark.parametrize(
    ("text", "environ", "named"),
    [
        ("[sever]\nport = 1", {}, "[sever]"),
        ("[server]\nprot = 1", {}, "prot"),
        ("server = 1", {}, "[server]"),
        ("[server", {}, "not valid TOML"),
        ("", {"TEMULA_SERVER_ENVIROMENT": "production"}, "TEMULA_SERVER_ENVIROMENT"),
        ("", {"TEMULA_SERVER_PORT": "many"}, "port"),
        ("", {"TEMULA_SERVER_PORT": "0"}, "port"),
    ],
)
def test_a_typo_is_refused(tmp_path: Path, text: str, environ: dict[str, str], named: str) -> None:
    """A setting that does not exist, or has no such value, is refused by name: ignored, it would seem to count."""
    file = tmp_path / "temula.toml"
    file.write_text(text)
    with pytest.raises(Misconfigured, match=r".") as refused:
        configure(load({"TEMULA_CONFIG": str(file), **environ}))
    assert named in refused.value.detail


def test_values_are_never_said() -> None:
    """What is wrong is named, not what was given: that may be a password."""
    with pytest.raises(Misconfigured) as refused:
        configure(load({"TEMULA_DATABASE_POOL": "hunter2"}))
    assert "hunter2" not in refused.value.detail
