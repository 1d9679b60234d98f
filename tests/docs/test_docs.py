"""The pages say what the program does: every command is there, generated pages are fresh, links lead somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
README_LINES = 150


def relative_links(page: Path) -> list[str]:
    """The links of a page that lead into the checkout, without their anchors."""
    found = [target.split("#")[0] for target in LINK.findall(page.read_text(encoding="utf-8"))]
    return [target for target in found if target and "://" not in target and not target.startswith("mailto:")]


def test_generated_pages_are_fresh() -> None:
    check = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "40"},  # the pages are the same at any width
    )

    assert (check.returncode, check.stderr) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert [target for target in relative_links(page) if not (page.parent / target).exists()] == []


def test_the_index_links_every_page() -> None:
    linked = {(DOCS / target).resolve() for target in relative_links(DOCS / "index.md")}

    assert {page for page in DOCS.rglob("*.md") if page.name != "index.md"} - linked == set()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES
