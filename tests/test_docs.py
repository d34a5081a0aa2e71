"""The documentation says what is so: generated pages are fresh, named files exist, links lead somewhere, code runs."""

import json
import re
from pathlib import Path

import pytest

from temula.operations import asyncapi
from tools import reference
from tools.compatibility import breaks

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *(page for one in ("docs", "clients", "conformance") for page in (ROOT / one).rglob("*.md"))]
)
# What a page may name that is made on the reader's machine.
MADE = ("var/", ".venv/")
NAMED = re.compile(
    r"`((?:src|docs|tests|emulators|benchmarks|tools|locks|clients|conformance)/[\w./-]*|\.ci/run|pyproject\.toml)`"
)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)")
CODE = re.compile(r"^( *)```python\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("name", list(reference.pages()))
def test_generated_pages_are_fresh(name: str) -> None:
    """A generated page equals what the code says now; `make reference` writes it."""
    assert (reference.REFERENCE / name).read_text() == reference.pages()[name]


def test_the_openapi_document_is_fresh() -> None:
    """The document in the repository equals the one that is served."""
    kept = json.loads((reference.REFERENCE / "openapi.json").read_bytes())
    assert kept == json.loads(reference.openapi())


def test_the_asyncapi_document_is_fresh() -> None:
    """The document in the repository equals the one that is served."""
    assert json.loads((reference.REFERENCE / "asyncapi.json").read_bytes()) == asyncapi.document()


@pytest.mark.parametrize("name", list(reference.shapes()))
def test_a_published_shape_still_holds(name: str) -> None:
    """A receiver written for the published shape of a message reads what is sent now, and the file is fresh."""
    published = json.loads((reference.REFERENCE / "messages" / name).read_bytes())
    assert breaks(published, reference.shapes()[name]) == []
    assert published == reference.shapes()[name]


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_named_files_exist_and_links_lead_somewhere(page: Path) -> None:
    """A page names no file that is gone."""
    text = page.read_text()
    placeholder = re.compile(r"acmepay|NNNN|\.\.\.$")
    named = {name for name in NAMED.findall(text) if not placeholder.search(name)}
    linked = {(page.parent / link).resolve() for link in LINK.findall(text)}
    gone = [name for name in sorted(named) if not (ROOT / name).exists()]
    gone += [str(path) for path in sorted(linked) if not path.exists()]
    assert gone == []


@pytest.mark.parametrize("page", [page for page in PAGES if CODE.search(page.read_text())], ids=shown)
def test_python_on_a_page_runs(page: Path) -> None:
    """Each Python block of a page runs as it stands."""
    for indent, code in CODE.findall(page.read_text()):
        lines = [line.removeprefix(indent) for line in code.splitlines()]
        exec(compile("\n".join(lines), shown(page), "exec"), {"__name__": "a_page"})  # noqa: S102 - our own page


def test_every_decision_and_page_is_listed() -> None:
    """Nobody has to guess that a page exists: the front page of its folder links it."""
    listed = {
        (front.parent / link).resolve()
        for front in (ROOT / "docs" / "README.md", ROOT / "docs" / "decisions" / "README.md")
        for link in LINK.findall(front.read_text())
    }
    pages = {page for page in (ROOT / "docs").rglob("*.md") if page.name != "README.md"}
    assert sorted(shown(page) for page in pages - listed) == []
