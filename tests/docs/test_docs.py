"""The pages say what the program does: every command is there, generated pages are fresh, links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from alexrepro.cli.reference import cli_reference, command_names, markdown_table
from alexrepro.recipes.catalog import catalog
from alexrepro.recipes.ledger import ledger
from alexrepro.recipes.variations import VARIATIONS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
README_LINES = 150


def relative_links(page: Path) -> list[str]:
    """The links of a page that lead into the checkout, without their anchors."""
    found = [target.split("#")[0] for target in LINK.findall(page.read_text(encoding="utf-8"))]
    return [target for target in found if target and "://" not in target and not target.startswith("mailto:")]


@pytest.mark.parametrize("name", command_names())
def test_every_command_has_its_section(name: str) -> None:
    assert f"## alexrepro {name}\n" in (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")


def test_the_command_reference_ends_with_what_the_program_says() -> None:
    assert (DOCS / "reference" / "cli.md").read_text(encoding="utf-8").endswith(cli_reference())


def test_the_command_reference_is_the_same_at_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    narrow = cli_reference()
    monkeypatch.setenv("COLUMNS", "200")

    assert cli_reference() == narrow


def test_generated_pages_are_fresh() -> None:
    check = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )

    assert (check.returncode, check.stderr) == (0, "")


@pytest.mark.parametrize("name", [*catalog(), *VARIATIONS])
def test_every_recipe_and_variation_is_in_the_reference(name: str) -> None:
    assert f"| `{name}` |" in (DOCS / "reference" / "recipes.md").read_text(encoding="utf-8")


def test_every_cited_field_is_in_the_fidelity_ledger() -> None:
    text = (DOCS / "explanation" / "fidelity.md").read_text(encoding="utf-8")

    assert [row["path"] for row in ledger()["fields"] if f"| `{row['path']}` |" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert [target for target in relative_links(page) if not (page.parent / target).exists()] == []


def test_the_index_links_every_page() -> None:
    linked = {(DOCS / target).resolve() for target in relative_links(DOCS / "index.md")}

    assert {page for page in DOCS.rglob("*.md") if page.name != "index.md"} - linked == set()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES


def test_bars_in_a_table_cell_are_escaped() -> None:
    assert markdown_table(("a",), [("x|y",)]) == "| a |\n| --- |\n| x\\|y |"
