"""The pages say what the program does: every command is there, generated pages are fresh, links lead somewhere."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import alexrepro

from ..loaded import start

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
README_LINES = 120


def relative_links(page: Path) -> list[str]:
    """The links of a page that lead into the checkout, without their anchors."""
    found = [target.split("#")[0] for target in LINK.findall(page.read_text(encoding="utf-8"))]
    return [target for target in found if target and "://" not in target and not target.startswith("mailto:")]


def check_pages() -> None:
    """As `python docs/generate.py --check`."""
    os.environ["COLUMNS"] = "40"  # the pages are the same at any width
    sys.path.insert(0, str(DOCS))
    sys.argv = ["generate.py", "--check"]
    runpy.run_path(str(DOCS / "generate.py"), run_name="__main__")


def test_generated_pages_are_fresh(tmp_path: Path) -> None:
    process = start(check_pages, said=tmp_path / "said")
    process.join()

    assert (process.exitcode, (tmp_path / "said").read_text()) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert [target for target in relative_links(page) if not (page.parent / target).exists()] == []


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as sites and code hosts form them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_anchor_is_that_of_a_heading(page: Path) -> None:
    links = [target.split("#") for target in LINK.findall(page.read_text(encoding="utf-8")) if "#" in target]
    found = [(page.parent / file if file else page, anchor) for file, anchor in links if "://" not in file]

    assert [(file.name, anchor) for file, anchor in found if anchor not in anchors(file)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_table_begins_with_a_header_and_its_rule(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    tables = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)

    assert [table for table in tables if not re.match(r".*\n\|(?: ?:?-+:? ?\|)+$", table, re.MULTILINE)] == []


def test_the_readme_of_the_package_has_no_link_into_the_checkout() -> None:
    shown = [sys.executable, "-m", "hatchling", "metadata", "readme"]
    text = subprocess.run(shown, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert [target for target in LINK.findall(text) if "://" not in target] == []
    assert "alexrepro prepare" in text


def test_the_pages_of_the_site_lead_nowhere_outside_of_it(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(DOCS / "site.py"), str(tmp_path / "pages")], check=True)

    pages = [*(tmp_path / "pages").rglob("*.md")]
    assert len(pages) == len(PAGES) - 1
    assert [
        (page.name, link) for page in pages for link in relative_links(page) if not (page.parent / link).exists()
    ] == []


def test_one_version_and_one_author_are_cited() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")

    assert f"\nversion: {alexrepro.__version__}\n" in text
    assert re.findall(r"name: (The .*)", text)[0] in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_index_links_every_page() -> None:
    linked = {(DOCS / target).resolve() for target in relative_links(DOCS / "index.md")}

    assert {page for page in DOCS.rglob("*.md") if page.name != "index.md"} - linked == set()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES
