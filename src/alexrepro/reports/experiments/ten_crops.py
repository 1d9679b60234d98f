"""What averaging ten crops gains over the center crop (§4.1, §6 footnote 5): printed, noted in 2012, and measured.

A gain is the center crop's error minus that of ten crops, of the same network on the same images.
"""

from collections.abc import Sequence

from alexrepro.paper.citation import Citation
from alexrepro.paper.logbook import LOGGED, Logged
from alexrepro.paper.results import CNN_2010, CNN_2010_CENTER, TEST_2010
from alexrepro.reports.experiment import Experiment, Needs, departure, grouped
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.statistics.gap import COLUMNS, GapRow, measured_gap, printed_gap, same_seeds
from alexrepro.reports.statistics.verdict import judged
from alexrepro.reports.tables.table import ResultTable
from alexrepro.runs.evaluation import Evaluation

TITLE = "Ten crops: what their average gains over the center crop"
PRINTED = printed_gap(
    (CNN_2010_CENTER.top1_error, CNN_2010_CENTER.top5_error), (CNN_2010.top1_error, CNN_2010.top5_error)
)
CLAIM = f"§6: ten crops gain {100 * PRINTED.top1:.1f} / {100 * PRINTED.top5:.1f} points on {TEST_2010}"
RECIPE, CROPS = "as-run-2010", "ten against center"


def _summarize(evidence: Evidence) -> ResultTable:
    printed = PRINTED.record(
        label=CNN_2010.label, source="reported", split=TEST_2010, crops=CROPS, cites=str(CNN_2010_CENTER.cites)
    )
    groups = grouped([e for e in evidence.evaluations if e.crops == "ten"])
    measured = [row for group in groups for row in _measured(group, evidence)]
    if not any(row.values["verdict"] not in (None, "not comparable") for row in measured):
        facts = {"label": RECIPE, "source": "measured", "split": TEST_2010, "crops": CROPS, "note": "not run"}
        measured = [GapRow(COLUMNS, {**facts, "claim": CLAIM, "verdict": "not run"}), *measured]
    return ResultTable("ten-crops", TITLE, (printed, *measured, *_noted()))


def _measured(ten: Sequence[Evaluation], evidence: Evidence) -> list[GapRow]:
    """The gain of one recipe on one split, if the center crop was tested, too."""
    first = ten[0]
    asked = (first.recipe, first.digest, first.epochs, first.split, first.images, "center")
    center = [
        e for e in evidence.evaluations if (e.recipe, e.digest, e.epochs, e.split, e.images, e.crops) == asked
    ]  # fmt: skip
    one, other = same_seeds(center, ten)
    if not one:
        return []
    gap, how = measured_gap(one, other), departure(first)
    is_asked, verdict = (first.recipe, first.split) == (RECIPE, TEST_2010), None
    if is_asked:
        verdict = "not comparable" if how else judged(
            (PRINTED.top1, gap.top1, *gap.top1_range), (PRINTED.top5, gap.top5, *gap.top5_range), is_difference=True
        )  # fmt: skip
    note = how if is_asked else "; ".join(filter(None, (how, "no printed number")))
    return [
        gap.record(
            label=first.recipe, source="measured", split=first.split, crops=CROPS, seeds=len(one), images=first.images,
            claim=CLAIM if is_asked else None, verdict=verdict, note=note, cites="; ".join(e.run for e in one),
        )
    ]  # fmt: skip


def _noted() -> list[GapRow]:
    """Every network whose notes hold both kinds of crops."""
    center = {_key(note): note for note in LOGGED if note.crops == "center"}
    pairs = [(note, center[_key(note)]) for note in LOGGED if note.crops == "ten" and _key(note) in center]
    return [
        printed_gap((other.top1_error, other.top5_error), (ten.top1_error, ten.top5_error)).record(
            label=f"#{ten.config}", source="noted in 2012", split=ten.split, crops=CROPS, cites=ten.cites.source
        )
        for ten, other in pairs
    ]


def _key(note: Logged) -> tuple[str, str, str]:
    return note.config, note.split, note.part


EXPERIMENT = Experiment(
    name="ten-crops",
    title=TITLE,
    cites=Citation("§4.1, §6", "Table 1 and footnote 5"),
    needs=(Needs(RECIPE, TEST_2010, "ten"), Needs(RECIPE, TEST_2010, "center")),
    summarize=_summarize,
)
