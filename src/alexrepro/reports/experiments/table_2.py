"""Table 2: ILSVRC-2012, one network and averages of several, with and without more data (§6).

The test labels of 2012 are not public, so for the test split there are published numbers only. Each average has two
readings of its members: the text's, and the names of the submitted files.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from alexrepro.paper import results
from alexrepro.paper.citation import Citation
from alexrepro.paper.results import EXTRA_DATA, SUPPLIED_DATA, Crops, Reported
from alexrepro.recipes.catalog import find_recipe
from alexrepro.reports.experiments import Evidence, Experiment, commands_for, folder_of, prepare_command, train_command
from alexrepro.reports.statistics.verdict import departure
from alexrepro.reports.tables import measured
from alexrepro.reports.tables.table import Row
from alexrepro.runs.evaluation import Evaluation

DATASET, ONE, STARRED = "ilsvrc2012", "as-run-2012", "net-146-2012-2011"
NEEDS = (
    measured.Needs(ONE, results.VAL_2012, "ten", reported=results.CNN_2012),
    measured.Needs(STARRED, results.VAL_2012, "ten", reported=results.CNN_2012_PRETRAINED),
)
CROPS: tuple[Crops, ...] = ("ten", "center")
# The networks of the submitted files as recipes. 145f sees whole images, which are in another store.
OF_FILES = {
    "131": "net-131", "135": "net-135", "137": "net-137", "145": ONE, "145f": None,
    "141": "net-141-2009-2012", "146.2009": "net-146-2012-2009", "146.2011": STARRED,
}  # fmt: skip


@dataclass(frozen=True)
class Average:
    """One average of Table 2 and one reading of its members, as recipes; None is a network without a recipe.

    submitted: the challenge's entry of these members, if the reading is that of its file.
    """

    label: str
    members: tuple[str | None, ...]
    reported: Reported
    submitted: Reported | None = None

    @property
    def note(self) -> str:
        """The members, and the official result of the entry."""
        members = f"members: {counted(member or '145f' for member in self.members)}"
        if self.submitted is None:
            return members
        return f"{members}; submitted: {100 * (self.submitted.top5_error or 0):.1f} % top-5 on {self.submitted.split}"

    @property
    def obstacle(self) -> str:
        """Why nobody can measure it; empty if it can be measured."""
        if None in self.members:
            return "145f sees whole images, which are in another store"
        lost = [member for member in self.members if member and find_recipe(member).training.init_from_stages]
        return f"some members are {measured.LOST}" if lost else ""

    def found(self, evidence: Evidence) -> list[Evaluation]:
        """The evaluations of exactly these members, equally weighted, over ten crops of the validation split."""
        return [
            e
            for e in evidence.ensembles
            if (e.split, e.crops) == (self.reported.split, self.reported.crops)
            and Counter(member.recipe for member in e.members) == Counter(self.members)
            and len({round(member.weight, 6) for member in e.members}) == 1
        ]

    def rows(self, evidence: Evidence) -> list[Row]:
        """What was measured of it, or a row that says "not run"."""
        claim = measured.claim_of(self.reported)
        found = [
            measured.row_of([(e,)], label=self.label, reported=self.reported, claim=claim, note=self.note)
            for e in self.found(evidence)
        ]
        missing = Row(
            quantity="error", label=self.label, split=results.VAL_2012, crops="ten", recipe="ensemble",
            claim=claim, verdict="not run", note="; ".join(filter(None, (self.obstacle, self.note))),
        )  # fmt: skip
        return found or [missing]

    def commands(self, evidence: Evidence) -> list[str]:
        """What to type for its members and their average; empty if it was measured or cannot be."""
        if self.obstacle or any(not departure(e) for e in self.found(evidence)):
            return []
        counts = Counter(filter(None, self.members))
        planned = [(find_recipe(name), seed) for name, count in counts.items() for seed in range(count)]
        folders = [str(folder_of(recipe, dataset=DATASET, seed=seed)) for recipe, seed in planned]
        trainings = [train_command(recipe, dataset=DATASET, seed=seed) for recipe, seed in planned]
        return [prepare_command(DATASET), *trainings, f"alexrepro evaluate {' '.join(folders)} --ten-crop"]


def _of_file(submission: Reported) -> tuple[str | None, ...]:
    return tuple(OF_FILES[member] for member in submission.members)


FILE = "as the submitted file is named"
AVERAGES = (
    Average("5 CNNs, as printed", (ONE,) * 5, results.CNN_2012_FIVE),
    Average(f"5 CNNs, {FILE}", _of_file(SUPPLIED_DATA), results.CNN_2012_FIVE, SUPPLIED_DATA),
    Average("7 CNNs*, as printed", (STARRED,) * 2 + (ONE,) * 5, results.CNN_2012_SEVEN),
    Average(f"7 CNNs*, {FILE}", _of_file(EXTRA_DATA), results.CNN_2012_SEVEN, EXTRA_DATA),
)


def counted(recipes: Iterable[str]) -> str:
    """Members for people: `2 × net-131, as-run-2012`."""
    return ", ".join(f"{count} × {name}" if count > 1 else name for name, count in Counter(recipes).items())


def _rows(evidence: Evidence) -> Iterator[Row]:
    for reported in (*results.TABLE_2, *results.TABLE_2_TEST):
        yield measured.published_row(reported, label=reported.label)
    for needed in NEEDS:
        yield from measured.rows_for(needed, evidence.evaluations)
    for average in AVERAGES:
        yield from average.rows(evidence)
    for crops in CROPS:
        yield from measured.rows_on_other_data(evidence.evaluations, crops=crops, needs=NEEDS)
        for e in evidence.ensembles:
            if e.dataset not in measured.CHALLENGES and e.crops == crops:
                note = f"other data; members: {counted(member.recipe for member in e.members)}"
                yield measured.row_of([(e,)], label="average", note=note)


def _lacks(evidence: Evidence) -> list[str]:
    averages = [command for average in AVERAGES for command in average.commands(evidence)]
    return list(dict.fromkeys([*commands_for(NEEDS, evidence), *averages]))


TABLE_2 = Experiment(
    "table-2", "Table 2: error rates on ILSVRC-2012, validation and test", Citation("§6", "Table 2"),
    needs=NEEDS, reported=results.TABLE_2, summarize=_rows, lacks=_lacks,
)  # fmt: skip
