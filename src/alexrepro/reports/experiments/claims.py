"""The differences that the running text claims, from two GPUs to the middle layers (§3.2 to §4.2, §7).

A printed difference is that of two runs of the 2012 notes. It is asked of the variation, which changes what the text
names and nothing else, and of the network that the notes say was run, which has its own schedule.
"""

from alexrepro.paper import results
from alexrepro.paper.citation import Citation
from alexrepro.paper.logbook import logged
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.variations import VARIATIONS, Variation
from alexrepro.reports.experiment import Experiment, Needs, commands_for
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.tables.ablated import base_of, evaluated, how_to_ablate, is_measured, rows_of
from alexrepro.reports.tables.delta_rows import delta_rows, reported_delta
from alexrepro.reports.tables.table import ResultTable

TITLE = "Claims of the text: printed, noted and measured differences in error"
CLAIMED = tuple(
    VARIATIONS[name]
    for name in (
        "one-tower", "no-norm", "non-overlapping-pooling", "no-color-shift", "no-dropout",
        "without-conv3", "without-conv4", "without-conv5",
    )
)  # fmt: skip


def _as_noted(recipe: Recipe, printed: results.ReportedDelta, section: str) -> Variation:
    note = logged(recipe.name.removeprefix("net-"))
    return Variation(recipe.name, recipe.description, {}, tests=printed, logged=note, section=section)


NOTED = {
    name: (find_recipe(name), _as_noted(find_recipe(name), printed, section))
    for name, printed, section in (
        ("net-145-half", results.ONE_TOWER, "§3.2"),
        ("net-148", results.NO_NORM, "§3.3"),
        ("net-147", results.NO_OVERLAP, "§3.4"),
    )
}


def _summarize(evidence: Evidence) -> ResultTable:
    rows = [
        row
        for variation in CLAIMED
        for row in (*reported_delta(variation, base=base_of(variation).name), *rows_of(variation, evidence))
    ]
    for recipe, variation in NOTED.values():
        base = base_of(variation)
        rows += delta_rows(
            variation,
            base=evaluated(base, evidence),
            found=evaluated(recipe, evidence),
            base_name=base.name,
            same_epochs=False,
        )
    return ResultTable("claims", TITLE, tuple(rows))


def _lacks(evidence: Evidence) -> list[str]:
    commands = how_to_ablate([variation for variation in CLAIMED if not is_measured(variation, evidence)])
    for recipe, variation in NOTED.values():
        split = variation.tests.split if variation.tests else None
        for asked in (base_of(variation), recipe):
            commands += commands_for(Needs(asked.name, split or "", "ten"), evidence.evaluations)
    return list(dict.fromkeys(commands))


EXPERIMENT = Experiment(
    name="claims",
    title=TITLE,
    cites=Citation("§3.2 to §4.2, §7", "differences in the running text"),
    summarize=_summarize,
    lacks=_lacks,
)
