"""Which runs an ablation compares, and the commands that make them."""

from collections.abc import Sequence

from alexrepro.errors import UserError
from alexrepro.paper.results import TEST_2010
from alexrepro.recipes.as_printed_and_run import AS_RUN_2010, AS_RUN_2012
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.variations import VARIATIONS, Variation
from alexrepro.reports.experiment import prepare_command
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.statistics.difference import DeltaRow
from alexrepro.reports.tables.delta_rows import delta_rows
from alexrepro.runs.evaluation import Evaluation

DATASETS = {AS_RUN_2010.name: "ilsvrc2010", AS_RUN_2012.name: "ilsvrc2012"}


def base_of(variation: Variation) -> Recipe:
    """The recipe that the printed difference was measured against; that of 2012 where the paper names no data."""
    printed = variation.tests
    return AS_RUN_2010 if printed is not None and printed.split == TEST_2010 else AS_RUN_2012


def evaluated(recipe: Recipe, evidence: Evidence) -> list[Evaluation]:
    """The evaluations of a recipe as it is, not of one that was changed or shortened, and of its last epoch."""
    asked = (recipe.name, recipe.digest, recipe.training.epochs)
    return [e for e in evidence.evaluations if (e.recipe, e.digest, e.epochs) == asked]


def rows_of(variation: Variation, evidence: Evidence) -> list[DeltaRow]:
    """The variation against the paper's recipe, measured or "not run", then against every other base that has runs."""
    asked = base_of(variation)
    others = {
        run.recipe.digest: run.recipe
        for name in _names_of_bases(variation, evidence)
        for run in evidence.named(name)
        if run.recipe.digest != asked.digest
    }
    rows = []
    for base in (asked, *others.values()):
        found, of_base = _tested(variation, base, evidence), evaluated(base, evidence)
        if base is asked or (found and of_base):
            rows += delta_rows(variation, base=of_base, found=found, base_name=base.name)
    return rows


def is_measured(variation: Variation, evidence: Evidence) -> bool:
    """Whether the paper's recipe and this variation of it were both tested."""
    base = base_of(variation)
    return bool(evaluated(base, evidence) and _tested(variation, base, evidence))


def measured_of(base: Recipe, evidence: Evidence, *, store: str) -> dict[str, list[Evaluation]]:
    """The evaluations of every variation of a base on the store with this digest, by the variation's name."""
    tested = {variation.name: _tested(variation, base, evidence) for variation in VARIATIONS.values()}
    on_store = {name: [e for e in found if e.store == store] for name, found in tested.items()}
    return {name: found for name, found in on_store.items() if found}


def _tested(variation: Variation, base: Recipe, evidence: Evidence) -> list[Evaluation]:
    """The evaluations of a variation of this base; none where it does not fit it."""
    try:
        varied = variation.of(base)
    except UserError:
        return []
    found = evaluated(varied, evidence)
    return [e for e in found if e.crops == variation.crops] if variation.is_of_testing else found


def how_to_ablate(variations: Sequence[Variation]) -> list[str]:
    """The commands that train the paper's recipes and variations of them, and compare them over ten crops."""
    names: dict[str, list[str]] = {}
    for variation in variations:
        names.setdefault(base_of(variation).name, []).append(variation.name)
    return [
        command
        for base, some in names.items()
        for command in (
            prepare_command(DATASETS[base]),
            f"alexrepro ablate {' '.join(some)} --base {base} --store {DATASETS[base]}",
        )
    ]


def _names_of_bases(variation: Variation, evidence: Evidence) -> list[str]:
    """The recipes that this variation was trained of, as it may not fit the others; all, if it needs no training."""
    if variation.is_of_testing:
        return list(dict.fromkeys(run.recipe.name for run in evidence.runs))
    names = (run.recipe.name.removesuffix(f"+{variation.name}") for run in evidence.runs)
    varied = {run.recipe.name for run in evidence.runs}
    return [name for name in dict.fromkeys(names) if f"{name}+{variation.name}" in varied]
