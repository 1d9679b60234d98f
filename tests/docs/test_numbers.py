"""The pages agree with each other and with the code: one number for one thing, and pointers that hold what they say."""

import re
from pathlib import Path
from typing import get_args

import pytest

from alexrepro.paper.results import Crops
from alexrepro.recipes.catalog import AS_RUN_2012
from alexrepro.recipes.variations import VARIATIONS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")


def rows_with_pages() -> list[tuple[str, list[Path]]]:
    """The cells of the README's table of results that name a page of results: what was measured, and those pages."""
    lines = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if "docs/results/" in line]
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return [
        (measured, [ROOT / target for target in LINK.findall(f"{what} {measured}") if "docs/results/" in target])
        for what, measured, _ in cells
    ]


@pytest.mark.parametrize(("measured", "pages"), rows_with_pages(), ids=lambda value: str(value)[:40])
def test_every_measured_number_of_the_readme_is_on_the_page_it_links(measured: str, pages: list[Path]) -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    shown = set(NUMBER.findall(text))

    told = NUMBER.findall(LINK.sub("]", re.sub(r"`[^`]*`", "", measured)))

    assert [number for number in told if number not in shown] == []


@pytest.mark.parametrize(
    "patterns",
    [
        [r"(\d\.\d+) times torchvision", r"`DataLoader` \| ≥ 3 \| (\d\.\d+)"],
        [
            r"(\d\.\d+)(?: times| times\]\([^)]*\)) (?:as many images per CPU-second as )?Pillow",
            r"/ Pillow \| ≥ 1.5 \| (\d\.\d+)",
        ],
        [r"(\d\.\d+) of (?:what )?the decoder", r"the decoder alone \| ≥ 0.8 \| (\d\.\d+)"],
        [
            r"(\d\.\d+)(?: times| times\]\([^)]*\)) as (?:long as ours|fast as with)",
            r"/ ours, processor \| ≥ 3.5 \| (\d\.\d+)",
        ],
        [r"13pct.{0,12} (\d\d)(?: seconds|,| \(13pct\))"],
    ],
    ids=["feed", "prepare", "decoder", "torch's norms", "epoch of cifar-13pct"],
)
def test_no_two_pages_give_two_numbers_for_one_thing(patterns: list[str]) -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]

    found = {number for text in texts for pattern in patterns for number in re.findall(pattern, text)}

    assert len(found) == 1, found


def reading_list() -> list[tuple[str, Path]]:
    """Every symbol of the README's reading list, with the file that should define it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Read the code in this order")[2]
    items = re.findall(r"^\d+\. (.+?) in \[.*?\]\((.+?)\)", text, re.MULTILINE)
    return [(symbol, ROOT / file) for symbols, file in items for symbol in re.findall(r"`([\w-]+)`", symbols)]


def test_the_reading_list_names_symbols_that_its_files_define() -> None:
    found = reading_list()

    missing = [
        symbol
        for symbol, file in found
        if not re.search(
            rf"^(def|class) {symbol}\b|^{symbol}\b.*=|^\[{symbol}\]", file.read_text("utf-8"), re.MULTILINE
        )
    ]

    assert len(found) >= 9
    assert missing == []


def test_the_rule_on_ties_is_where_the_page_says() -> None:
    page = (ROOT / "docs/explanation/what-the-paper-leaves-out.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"\*\*Field\*\*: none; the rule is in `(evaluation/\w+\.py)`", page)

    assert "lower" in (ROOT / "src/alexrepro" / named).read_text(encoding="utf-8").split('"""')[1]


@pytest.mark.parametrize("crops", get_args(Crops))
def test_the_run_folder_names_all_kinds_of_crops(crops: str) -> None:
    lines = (ROOT / "docs/reference/run-folder.md").read_text(encoding="utf-8").splitlines()

    (told,) = (line for line in lines if line.startswith("| `dataset`, `split`, `crops`"))
    assert f"`{crops}`" in told


def test_the_open_questions_name_the_sizes_of_their_variations() -> None:
    page = (ROOT / "docs/explanation/what-the-paper-leaves-open.md").read_text(encoding="utf-8")
    base = AS_RUN_2012.network
    widths = re.findall(r"^\| `([\w-]+)` \| ([\d, ]+) \| ([+-][\d.]+) % \| ([+-][\d.]+) % \|$", page, re.MULTILINE)
    parameters = re.findall(r"^\| .* \| `([\w-]+)` \| ([\d,]+) \|$", page, re.MULTILINE)

    assert len(widths) == 4
    for name, maps, *deviations in widths:
        network = VARIATIONS[name].of(AS_RUN_2012).network
        assert maps == ", ".join(str(stage.maps) for stage in network.stages if stage.kind == "conv")
        assert deviations == [
            f"{100 * (network.parameters / base.parameters - 1):+.2f}", f"{100 * (network.macs / base.macs - 1):+.2f}"
        ]  # fmt: skip
    assert len(parameters) == 6
    for name, count in parameters:
        assert count == f"{VARIATIONS[name].of(AS_RUN_2012).network.parameters:,}"
