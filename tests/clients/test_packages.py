"""The packages as users get them: built, installed in a place of their own, and tested there."""

import os
import shutil
import sys
import venv
from pathlib import Path

from tests.clients.programs import need, run

CLIENTS = Path(__file__).parents[2] / "clients"


def copied(name: str, folder: Path) -> Path:
    """A copy to build in, beside the vectors, so that nothing is written into the repository."""
    shutil.copy(CLIENTS / "vectors.json", folder)
    left = shutil.ignore_patterns("node_modules", "dist", "__pycache__")
    return Path(shutil.copytree(CLIENTS / name, folder / name, ignore=left))


def test_the_javascript_package_packs_and_works(tmp_path: Path) -> None:
    """Packed and installed it passes its tests as an ES module and as CommonJS, and holds its licence and types."""
    need("npm")
    source, user = copied("javascript", tmp_path), tmp_path / "user"
    user.mkdir()
    packed = run("npm", "pack", "--silent", folder=source).split()[-1]
    (user / "package.json").write_text("{}")
    run("npm", "install", "--offline", "--no-audit", "--no-fund", source / packed, folder=user)
    held = {str(one.relative_to(user / "node_modules/temula-webhooks")) for one in user.rglob("*") if one.is_file()
            and "temula-webhooks" in one.parts}  # fmt: skip
    wanted = {"LICENSE", "README.md", "package.json", "index.js", "index.d.ts", "dist/index.cjs", "dist/index.d.cts"}
    assert held == wanted
    said = run("node", "--test", source / "test", TEMULA_PACKAGE=str(user))
    counted = dict(
        line[2:].split(" ", 1) for line in said.splitlines() if line.startswith("# ") and line.count(" ") == 2
    )
    assert counted["fail"] == counted["skipped"] == "0"
    assert int(counted["pass"]) > 250


def test_the_python_package_installs_and_works(tmp_path: Path) -> None:
    """Installed by pip it brings its types and nothing else, and verifies."""
    source = copied("python", tmp_path)
    venv.create(tmp_path / "user", with_pip=False)
    site = next((tmp_path / "user").glob("lib/python*/site-packages"))
    run(
        sys.executable, "-m", "pip", "--quiet", "install", "--no-build-isolation", "--no-deps", "--target", site, source
    )
    assert (site / "temula_webhooks" / "py.typed").exists()
    assert [one.name for one in site.glob("*.dist-info")] == ["temula_webhooks-0.1.0.dist-info"]
    python = tmp_path / "user" / "bin" / "python"
    program = "import temula_webhooks as t; print(t.__file__, t.Webhook('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'))"
    assert str(site) in run(python, "-c", program, PYTHONPATH="", PATH=os.environ["PATH"])
