"""The recipes of the page on verifying webhooks, as they stand there, against the vectors."""

import base64
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.programs import need, run
from tools.vectors import AT, Vector, vectors

DRIVERS = Path(__file__).parent / "drivers"
PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "verify-webhooks.md").read_text()
STANDARD = [one for one in vectors() if one.style == "standard"]
PROJECT = """<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><OutputType>Exe</OutputType>
<TargetFramework>net8.0</TargetFramework><RollForward>Major</RollForward></PropertyGroup></Project>"""


def recipe(language: str) -> str:
    """The page's code in a language."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return code


def php(folder: Path, requests: str) -> str:
    (folder / "recipe.php").write_text(recipe("php"))
    return run("php", DRIVERS / "driver.php", folder / "recipe.php", given=requests)


def ruby(folder: Path, requests: str) -> str:
    (folder / "recipe.rb").write_text(recipe("ruby"))
    return run("ruby", DRIVERS / "driver.rb", folder / "recipe.rb", given=requests)


def go(folder: Path, requests: str) -> str:
    (folder / "temula").mkdir()
    (folder / "temula" / "verify.go").write_text(recipe("go"))
    (folder / "main.go").write_text((DRIVERS / "driver.go").read_text())
    (folder / "go.mod").write_text("module recipe\n\ngo 1.20\n")
    return run("go", "run", ".", given=requests, folder=folder)


def java(folder: Path, requests: str) -> str:
    need("javac")
    (folder / "TemulaWebhook.java").write_text(recipe("java"))
    run("javac", "-d", folder, folder / "TemulaWebhook.java", DRIVERS / "Driver.java")
    return run("java", "-cp", folder, "Driver", given=requests)


def mono(folder: Path, requests: str) -> str:
    need("mcs")
    (folder / "TemulaWebhook.cs").write_text(recipe("csharp"))
    run("mcs", f"-out:{folder / 'driver.exe'}", folder / "TemulaWebhook.cs", DRIVERS / "Driver.cs")
    return run("mono", folder / "driver.exe", given=requests)


def dotnet(folder: Path, requests: str) -> str:
    (folder / "Recipe.csproj").write_text(PROJECT)
    (folder / "TemulaWebhook.cs").write_text(recipe("csharp"))
    (folder / "Driver.cs").write_text((DRIVERS / "Driver.cs").read_text())
    return run("dotnet", "run", given=requests, folder=folder)


@pytest.mark.parametrize("runner", [php, ruby, go, java, mono, dotnet], ids=lambda runner: runner.__name__)
def test_a_recipe_judges_every_vector(runner: Callable[[Path, str], str], tmp_path: Path) -> None:
    """What is genuine passes and nothing else; where the language is missing the test is skipped and says so."""
    need(runner.__name__)
    said = runner(tmp_path, "".join(map(line, STANDARD))).split()
    assert len(said) == len(STANDARD)
    wrong = [
        one.name for one, verdict in zip(STANDARD, said, strict=True) if verdict != str(one.expect == "ok").lower()
    ]
    assert wrong == []


def line(vector: Vector) -> str:
    """A request as the drivers read it."""
    headers = {name.lower(): value for name, value in vector.headers.items()}
    texts = [headers.get(name, "") for name in ("webhook-id", "webhook-timestamp", "webhook-signature")]
    texts += [" ".join(vector.secrets), str(vector.now)]
    fields = [*(text.encode() for text in texts), vector.body]
    return "\t".join(base64.b64encode(field).decode() for field in fields) + "\n"


def test_there_are_both_kinds_of_vector() -> None:
    """A recipe that says the same to all would fail."""
    assert len([one for one in STANDARD if one.expect == "ok"]) >= 12
    assert len([one for one in STANDARD if one.expect != "ok"]) >= 25
    assert {one.now for one in STANDARD} == {AT}
