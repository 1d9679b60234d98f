"""The averages of Table 2: which networks they hold, by the text and by the names of the submitted files (§6)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from alexrepro.paper import results
from alexrepro.paper.logbook import EXTRA_DATA, SUPPLIED_DATA, Submission
from alexrepro.paper.results import Reported
from alexrepro.recipes.catalog import find_recipe
from alexrepro.reports.experiment import departure, folder_of, prepare_command, train_command
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.statistics.official import shortfall
from alexrepro.runs.evaluation import Evaluation

DATASET = "ilsvrc2012"
ONE, STARRED = "as-run-2012", "net-146-2012-2011"
# The networks of the submitted files as recipes. 145f sees squares that another store holds, and an average one store.
OF_FILES = {
    "131": "net-131", "135": "net-135", "137": "net-137", "145": ONE, "145f": None,
    "141": "net-141-2009-2012", "146.2009": "net-146-2012-2009", "146.2011": STARRED,
}  # fmt: skip


@dataclass(frozen=True)
class Average:
    """One average of Table 2 and one reading of its members, as recipes; None is a network that no recipe describes."""

    name: str
    reading: str
    members: tuple[str | None, ...]
    printed: Reported
    printed_test: Reported
    submitted: Submission

    def shown(self) -> str:
        """The members for people."""
        return counted(member or "145f" for member in self.members)

    def found(self, evidence: Evidence) -> list[Evaluation]:
        """The evaluations of exactly these members, equally weighted, over ten crops of the validation split."""
        asked = (self.printed.split, self.printed.crops)
        return [e for e in evidence.ensembles if (e.split, e.crops) == asked and self._is_of(e)]

    def _is_of(self, evaluation: Evaluation) -> bool:
        equal = len({round(member.weight, 6) for member in evaluation.members}) == 1
        return equal and Counter(m.recipe for m in evaluation.members) == Counter(self.members)

    @property
    def obstacle(self) -> str:
        """Why nobody can measure it; nothing where it can be."""
        lost = [member for member in self.members if member and find_recipe(member).training.init_from_stages]
        if None in self.members:
            return "145f sees whole pictures, which lie in another store"
        return "members learn first from collections that are no longer handed out" if lost else ""

    def commands(self, evidence: Evidence) -> list[str]:
        """What to type for its members and their average; nothing if it was tested or cannot be."""
        if self.obstacle or any(not departure_of(e) for e in self.found(evidence)):
            return []
        commands, folders = [], []
        for name, count in Counter(member for member in self.members if member).items():
            recipe = find_recipe(name)
            commands += [train_command(recipe, dataset=DATASET, seed=seed) for seed in range(count)]
            folders += [str(folder_of(recipe, dataset=DATASET, seed=seed)) for seed in range(count)]
        return [prepare_command(DATASET), *commands, f"alexrepro evaluate {' '.join(folders)} --ten-crop"]


def counted(recipes: Iterable[str]) -> str:
    """Members for people: `2 × net-131, as-run-2012`."""
    return ", ".join(f"{count} × {name}" if count > 1 else name for name, count in Counter(recipes).items())


def departure_of(evaluation: Evaluation) -> str:
    """How the members of an ensemble differ from the catalog's recipes; nothing if all are full runs of them."""
    return "; ".join(dict.fromkeys(filter(None, (departure(member) for member in _members(evaluation)))))


def shortfall_of(evaluation: Evaluation) -> bool:
    """Whether the images that a member was trained on, or that they were tested on, are not all the official ones."""
    return any(shortfall(member) for member in _members(evaluation))


def _members(evaluation: Evaluation) -> list[Evaluation]:
    """What each member would be the run of."""
    return [
        replace(evaluation, run=m.run, recipe=m.recipe, digest=m.digest, epochs=m.epochs) for m in evaluation.members
    ]


def _submitted(submission: Submission) -> tuple[str | None, ...]:
    return tuple(OF_FILES[member] for member in submission.members)


_FIVE = (results.CNN_2012_FIVE, results.CNN_2012_FIVE_TEST, SUPPLIED_DATA)
_SEVEN = (results.CNN_2012_SEVEN, results.CNN_2012_SEVEN_TEST, EXTRA_DATA)
AVERAGES = (
    Average("5 CNNs", "as printed", (ONE,) * 5, *_FIVE),
    Average("5 CNNs", "as the submitted file is named", _submitted(SUPPLIED_DATA), *_FIVE),
    Average("7 CNNs*", "as printed", (STARRED,) * 2 + (ONE,) * 5, *_SEVEN),
    Average("7 CNNs*", "as the submitted file is named", _submitted(EXTRA_DATA), *_SEVEN),
)
