"""The claims of the running text and the ablations behind them."""

from collections.abc import Callable
from typing import Any

from alexrepro.paper.results import TEST_2010, VAL_2012
from alexrepro.recipes.as_printed_and_run import AS_RUN_2010, AS_RUN_2012, TINY
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.variations import VARIATIONS
from alexrepro.reports.experiment import answer, find, missing
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.run import Run

Make = Callable[..., Evaluation]


def rows(name: str, evidence: Evidence, variation: str) -> list[dict[str, Any]]:
    return [row for row in answer(find(name), evidence).as_dict()["rows"] if row["variation"] == variation]


def test_without_runs_every_claim_is_printed_noted_and_not_run() -> None:
    printed, measured = rows("claims", Evidence(), "one-tower")

    assert (printed["source"], printed["split"], printed["reported_top1_delta"]) == ("reported", TEST_2010, 0.017)
    assert printed["logged_top1_delta"] == 0.016973
    assert (measured["source"], measured["verdict"], measured["reported_top1_delta"]) == ("measured", "not run", None)


def test_a_claim_is_measured_on_the_recipe_of_its_data_set(evaluation: Make) -> None:
    variation = VARIATIONS["one-tower"].of(AS_RUN_2010)
    evidence = Evidence(
        evaluations=(
            evaluation(AS_RUN_2010, split=TEST_2010, images=150_000),
            evaluation(variation, split=TEST_2010, images=150_000, top1_correct=87_450, top5_correct=121_200),
        )
    )

    _, measured = rows("claims", evidence, "one-tower")

    assert (measured["top1_delta"], measured["reported_top1_delta"]) == (0.017, 0.017)
    assert (measured["verdict"], measured["base"]) == ("reproduced", "as-run-2010")
    assert not any("ablate one-tower" in command for command in missing(find("claims"), evidence))


def test_the_network_that_was_run_in_2012_answers_the_claim_too(evaluation: Make) -> None:
    evidence = Evidence(
        evaluations=(
            evaluation(AS_RUN_2012, split=VAL_2012),
            evaluation(find_recipe("net-148"), split=VAL_2012, top1_correct=29_300, top5_correct=40_400),
        )
    )

    (measured,) = rows("claims", evidence, "net-148")

    assert (measured["reported_top1_delta"], measured["logged_top1_delta"]) == (0.014, 0.01366)
    assert measured["verdict"] == "reproduced"


def test_an_ablation_of_the_miniature_is_comparable_with_nothing(
    evaluation: Make, make_run: Callable[..., Run]
) -> None:
    base = TINY.shortened(2)
    variation = VARIATIONS["no-norm"].of(base)
    evidence = Evidence(
        runs=(make_run(base), make_run(variation)),
        evaluations=tuple(
            evaluation(recipe, split="ilsvrc2010-miniature-test", images=500) for recipe in (base, variation)
        ),
    )

    paper, miniature = rows("ablations", evidence, "no-norm")

    assert (paper["base"], paper["note"]) == ("as-run-2012", "not run")
    assert (miniature["base"], miniature["top1_delta"], miniature["reported_top1_delta"]) == ("tiny", 0.0, None)
    assert miniature["note"] == "not comparable: other data; shortened: 2 of 13 epochs"


def test_the_ablations_ask_for_every_variation_once() -> None:
    commands = [command for command in missing(find("ablations"), Evidence()) if "ablate" in command]

    named = [word for command in commands for word in command.split() if word in VARIATIONS]
    assert sorted(named) == sorted(VARIATIONS)
    assert commands[-1] == "alexrepro ablate one-tower --base as-run-2010 --store ilsvrc2010"


def test_the_printed_neurons_are_not_what_the_count_rounds_to() -> None:
    total = answer(find("parameters"), Evidence()).as_dict()["rows"][-1]

    assert total["claim"] == "abstract: 60 million parameters, 650,000 neurons"
    assert total["verdict"] == "not reproduced"
    assert total["note"] == "60,965,224 parameters round to 60 million, 659,272 neurons to 660,000"


def test_parameters_add_up_and_the_slip_of_the_caption_is_named() -> None:
    found = answer(find("parameters"), Evidence()).as_dict()["rows"]
    conv1, total = found[0], found[-1]

    assert (total["parameters"], total["neurons"]) == (60_965_224, 659_272)
    assert sum(row["parameters"] or 0 for row in found[:-1]) == total["parameters"]
    assert (conv1["neurons"], conv1["printed"], conv1["verdict"]) == (290_400, "253,440", "not reproduced")
    assert [row["verdict"] for row in found[1:-1]] == [None] * 8
