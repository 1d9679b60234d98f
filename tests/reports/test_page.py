"""The page: valid, self-contained, escaped, and right about each claim."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

from alexrepro.paper.results import TEST_2010
from alexrepro.recipes.catalog import AS_RUN_2010, TINY
from alexrepro.recipes.recipe import Recipe
from alexrepro.reports.experiments import Evidence, experiments, gather, render
from alexrepro.reports.page import MOST_ROWS, judged, page, provenance, sentence
from alexrepro.reports.tables.table import FRACTION
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.predictions import Neighbors, save_neighbors
from alexrepro.runs.run import Run

VOID = {"meta", "br", "img", "link", "input", "hr"}
MADE_AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>&\"'"
NAMES = ("table-1", "figure-2", "training-curves")  # a table, a figure, and one of runs
MakeRun = Callable[..., Run]


class Page(HTMLParser):
    """Reads a page as a browser does, with the cells of its tables by section; fails where elements do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.scripts = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.scripts += tag == "script"
        if tag == "section":
            self.tables[dict(attrs)["id"] or ""] = []
        if tag == "tr":
            self.tables[[*self.tables][-1]].append([])
        if tag in ("td", "th"):
            self.tables[[*self.tables][-1]][-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[[*self.tables][-1]][-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def page_of(evidence: Evidence) -> str:
    reports = [render(experiment, evidence) for name, experiment in experiments().items() if name in NAMES]
    return page(reports, evidence, made_at=MADE_AT)


def test_the_page_of_hostile_runs_is_valid_escaped_and_loads_nothing(make_run: MakeRun) -> None:
    make_run(TINY, losses=(3.0, 2.0, 1.0), errors=(0.9,), machine={"device": HOSTILE}, failure="at chance")
    changed = Recipe(name="x<img src=y onerror=z>", description="x").but({"training.epochs": 1})
    run = make_run(changed, losses=(1.0,))

    html = page_of(gather(run.folder.parent.parent))

    found = Page(html)
    assert (found.open, found.scripts) == ([], 0)
    assert len(found.ids) == len(set(found.ids))
    assert {address.removeprefix("#") for address in found.addresses} <= set(found.ids)
    assert "://" not in html
    assert "default-src 'none'" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<img" not in html
    assert html.count("x&lt;img src=y") >= 3  # curve, table, run
    assert html.count("<svg ") == html.count('<svg role="img" aria-label="') > 2  # a title for screen readers
    assert "This page shows tiny on ilsvrc2010-miniature, seed 0, after step 3 of 26 (epoch 2 of 13);" in html
    for text in (
        "epoch 2 of 13; at chance",
        "tiny --store ilsvrc2010-miniature --seed 0",
        "ilsvrc2010-miniature-train-abc123",
    ):
        assert text in html
    assert "There is no run yet." in page_of(Evidence())


def test_class_and_file_names_are_escaped_in_tables_and_figures(
    make_run: MakeRun, neighbors: Callable[..., Neighbors]
) -> None:
    run = make_run(TINY, dataset="<b onclick=x>", losses=(1.0,))
    save_neighbors(run, neighbors(names=(HOSTILE, HOSTILE), files=(HOSTILE, *"abc", f"n1/{HOSTILE}.JPEG", *"fgh")))
    evidence = Evidence(runs=(run,))

    html = page([render(experiments()["figure-4"], evidence)], evidence, made_at=MADE_AT)

    assert Page(html).scripts == 0
    assert "<b onclick" not in html
    figure = html.partition("<svg")[2].partition("</svg>")[0]
    assert figure.count("&lt;script&gt;alert") >= 3  # an image, its prediction, a neighbor
    assert str(run.folder.parent.parent) not in figure  # a figure does not show the folder of the runs
    assert html.count("n1/&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#34;&#39;.JPEG") == 1


def test_the_tables_of_the_page_are_those_of_the_json_files(
    evaluation: Callable[..., Evaluation], tmp_path: Path
) -> None:
    found = [
        evaluation(recipe, split=split, crops=crops, images=5_000, top1_correct=3_007, top5_correct=4_093)
        for recipe, split in ((AS_RUN_2010, TEST_2010), (TINY, "x-val"), (TINY, "x-test"))
        for crops in ("center", "ten")
    ]
    evidence = Evidence(evaluations=tuple(found))
    reports = [render(one, evidence) for one in experiments().values()]

    tables = Page(page(reports, evidence, made_at=MADE_AT)).tables

    assert "not run" not in str({name: rows for name, rows in tables.items() if name != "verdicts"})
    for report in reports:
        name, kinds = report.table.name, report.table.rows[0].COLUMNS
        rows = json.loads((report.table.save(tmp_path)[-1]).read_text(encoding="utf-8"))["rows"]
        rows = [row for row in rows if "not run" not in (row.get("verdict"), row["note"])]
        shown = [" ".join(cells) for cells in tables.get(name, [])[1:]]
        assert len(shown) == min(len(rows), MOST_ROWS), name
        for row, text in zip(rows, shown, strict=False):
            numbers = [abs(100 * row[column]) for column, kind in kinds.items() if kind == FRACTION and row[column]]
            assert all(f"{number:.1f}" in text or f"{number:.2f}" in text for number in numbers), (name, row, text)


def test_a_claim_has_one_verdict_and_a_measurement_counts_before_none(evaluation: Callable[..., Evaluation]) -> None:
    full = evaluation(AS_RUN_2010, split=TEST_2010, images=150_000, top1_correct=93_900, top5_correct=124_600)
    shortened = replace(full, digest=AS_RUN_2010.shortened(9).digest, epochs=9)
    table_1 = experiments()["table-1"]

    by_evidence = [
        {one.claim: one for one in judged([render(table_1, Evidence(evaluations=found))])}
        for found in ((), (shortened,), (shortened, full))
    ]

    claim = "CNN on ilsvrc2010-test, ten"
    assert [claims[claim].verdict for claims in by_evidence] == ["not run", "not comparable", "reproduced"]
    assert {claims[claim].published for claims in by_evidence} == {"37.5 % / 17.0 %"}
    assert by_evidence[2][claim].measured == "37.4 % (37.2–37.6) / 16.9 % (16.7–17.1)"
    assert by_evidence[1][claim].measured == "shortened to 9 of 92 epochs"  # no number next to the published one
    assert len(by_evidence[0]) == 2  # and the center crop


def test_a_recipe_is_described_as_a_difference() -> None:
    assert sentence(TINY) == f"tiny-{TINY.digest}, as in the catalog"
    assert sentence(TINY.but({"network.norm": None, "training.epochs": 3})) == (
        "like tiny, but without network.norm; training.epochs 13 → 3"
    )
    assert sentence(TINY.shortened(2)).endswith("training.epochs 13 → 2; another training.schedule.at")
    assert sentence(Recipe("own", "x").but({"training.batch": 8})).startswith(
        "like as-printed, but training.batch 128 → 8"
    )


def test_a_card_has_the_errors_of_a_run_and_the_recipe_file_of_a_changed_one(
    make_run: MakeRun, evaluation: Callable[..., Evaluation]
) -> None:
    run = make_run(TINY.but({"training.batch": 16}), is_complete=True)
    part = evaluation(
        TINY.for_classes(50), split="ilsvrc2012-val", images=250, classes=50, epochs=5, run=str(run.folder)
    )

    found = provenance(run, [part])

    assert found.command == f"alexrepro train {run.folder.parent / 'recipe.toml'} --store ilsvrc2010-miniature --seed 0"
    assert found.facts["ilsvrc2012-val, ten"] == (
        "top-1 / top-5 error 40.0 % / 18.0 % (250 of 50,000 images, 50 of 1,000 classes, "
        "trained on ilsvrc2010-miniature; shortened to 5 of 13 epochs)"
    )
    assert (found.state, found.facts["finished"]) == ("complete", "2026-01-02T03:04:05+00:00")
