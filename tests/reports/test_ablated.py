"""Which evaluations a table of one base holds: those of its variations on the same store, whenever they were made."""

from collections.abc import Callable

from alexrepro.recipes.as_printed_and_run import TINY
from alexrepro.recipes.catalog import catalog
from alexrepro.recipes.variations import VARIATIONS
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.tables.ablated import measured_of
from alexrepro.runs.evaluation import Evaluation


def test_variations_that_were_measured_before_stay_in_the_table(evaluation: Callable[..., Evaluation]) -> None:
    tanh, no_norm = (VARIATIONS[name].of(TINY) for name in ("tanh", "no-norm"))
    other_base = VARIATIONS["tanh"].of(TINY.shortened(2))
    found = Evidence(
        evaluations=(
            evaluation(tanh, split="miniature-test", store="0a"),
            evaluation(no_norm, split="miniature-test", store="of other images"),
            evaluation(other_base, split="miniature-test", store="0a"),
            evaluation(TINY, split="miniature-test", store="0a"),
        )
    )

    measured = measured_of(TINY, found, store="0a")

    assert measured == {"tanh": [found.evaluations[0]]}


def test_variations_that_do_not_fit_the_base_are_passed_over() -> None:
    assert measured_of(catalog()["cifar-80sec"].recipe, Evidence(), store="0a") == {}
