"""Links and paths in the docs lead somewhere: files, folders, and headings of pages."""

import re
from pathlib import Path

import pytest

from server_process import ROOT
from tests.compiled_build.of_the_source import OF_THE_SOURCE

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ROOMS = "commands|sync|handlers|worker|localstack|tests|docs|deploy"
_PATH = re.compile(rf"`((?:{_ROOMS})/[\w./-]*)`")
"""A path of the repo in back-quotes; patterns with `*` or `…` are none."""


_CITATION = re.compile(r"docs/(\w+)\.md,? \(?((?:\*[^*]+\*(?:, | and )?)+)")
"""A page and its sections as code cites them: `docs/rules.md, *Who is newer*, *First sight*`."""
_CITING = ("commands", "sync", "handlers", "worker", "localstack", "tests", "docs")


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for link in _LINK.findall(page.read_text()):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_of_the_repo_exists(page: Path) -> None:
    assert [path for path in _PATH.findall(page.read_text()) if not (ROOT / path).exists()] == []


_MADE_BY_THE_BUILD = {"commands/native_replace.py", "commands/native_marks.py"}
"""Modules that the compiled build writes into its copy of the source."""


def named_files() -> list[tuple[Path, str]]:
    """Every Python file that code names by a path: the naming file, the path."""
    found = []
    for path in (
        path for room in (*_CITING, "compiled_build", "deploy") for path in sorted((ROOT / room).rglob("*.py"))
    ):
        found += [(path, name) for name in re.findall(r"(?<![\w./])((?:\w+/)+\w+\.py)\b", path.read_text())]
    return found


def test_every_file_that_code_names_by_a_path_exists() -> None:
    """A path begins at the root, in the naming file's package, or in its folder."""
    named = named_files()
    assert len(named) >= 60
    lost = []
    for path, name in named:
        begins = (ROOT, ROOT / path.relative_to(ROOT).parts[0], path.parent)
        if name not in _MADE_BY_THE_BUILD and not any((begin / name).is_file() for begin in begins):
            lost.append((path.relative_to(ROOT).as_posix(), name))
    assert lost == []


def citations() -> list[tuple[str, str, str]]:
    """Every section that code cites: the citing file, the page, the section. A citation may span lines."""
    found = []
    for path in (path for room in _CITING for path in sorted((ROOT / room).rglob("*.py"))):
        text = re.sub(r"\s+(?:# )?", " ", path.read_text())
        for page, sections in _CITATION.findall(text):
            found += [(str(path.relative_to(ROOT)), page, section) for section in re.findall(r"\*([^*]+)\*", sections)]
    return found


def test_every_section_that_code_cites_is_a_heading_of_its_page() -> None:
    cited = citations()
    assert len(cited) >= 35
    # `Table A: work-item → conversation` is cited as *Table A*.
    headings = {
        page.stem: re.findall(r"^#+ ([^:\n]*)", page.read_text(), re.MULTILINE) for page in (ROOT / "docs").glob("*.md")
    }
    assert [each for each in cited if each[2] not in headings.get(each[1], ())] == []


def test_every_case_of_the_faults_page_is_a_test() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests" / "faults").glob("test_*.py"))
    cases = re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "faults.md").read_text(), re.MULTILINE)
    assert len(set(cases)) >= 26
    assert [case for case in cases if case not in tests] == []


def test_every_log_message_of_the_operations_page_is_logged() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "worker").rglob("*.py"))
    for message in (
        "message goes back",
        "queue away",
        "topics away",
        "the poll met a fault in our code",
        "not there yet, waiting for it",
        "worker started",
    ):
        assert f"`{message}`" in (ROOT / "docs" / "operations.md").read_text()
        assert message in code


@OF_THE_SOURCE
def test_the_code_map_names_every_package_and_every_module_of_the_pure_rooms() -> None:
    code_map = (ROOT / "docs" / "design.md").read_text().partition("## Code map")[2].partition("## What is written")[0]
    folders = [
        path.parent.name for room in ("commands", "worker", "handlers") for path in (ROOT / room).glob("*/__init__.py")
    ]
    pure = [path.stem for room in ("commands", "sync") for path in (ROOT / room).glob("*.py")]
    roots = [path.stem for room in ("worker", "handlers") for path in (ROOT / room).glob("*.py")]
    assert [name for name in folders if f"`{name}/`" not in code_map] == []
    assert [name for name in (*pure, *roots) if name != "__init__" and f"`{name}`" not in code_map] == []


@pytest.mark.parametrize("name", ["design", "changing", "decisions"])
def test_every_identifier_of_a_successors_page_is_in_the_code(name: str) -> None:
    rooms = ("commands", "sync", "handlers", "worker", "tests")
    code = "\n".join(path.read_text() for room in rooms for path in (ROOT / room).rglob("*.py"))
    words = set(re.findall(r"\w+", code))
    page = re.sub(r"```.*?```", "", (ROOT / "docs" / f"{name}.md").read_text(), flags=re.DOTALL)
    quoted = re.findall(r"`(\w+)`", page)
    identifiers = [each for each in quoted if "_" in each or re.search(r"[a-z][A-Z]", each)]
    settings = {word.upper() for word in words}
    modules = {path.stem for room in rooms for path in (ROOT / room).rglob("*.py")}
    assert [each for each in identifiers if each not in words | modules | settings] == []
