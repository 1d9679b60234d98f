"""The networks of CIFAR-10 beside the errors that their files quote."""

from dataclasses import replace

from alexrepro.paper.results import CIFAR_TEST
from alexrepro.recipes.catalog import find_recipe
from alexrepro.reports.experiment import answer, find, missing
from alexrepro.reports.experiments.cifar import RECIPES
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.runs.evaluation import Evaluation

QUICK = find_recipe("cifar-18pct")
MEASURED = Evaluation(
    run=f"runs/cifar-18pct-{QUICK.digest}/cifar10-seed-0", recipe="cifar-18pct", digest=QUICK.digest, seed=0,
    epochs=QUICK.training.epochs, dataset="cifar10", split=CIFAR_TEST, crops="center", images=10_000,
    top1_correct=8_190, top5_correct=9_900, loss=0.6, classes=10,
)  # fmt: skip


def rows(*evaluations: Evaluation) -> dict[str, dict[str, object]]:
    found = answer(find("cifar"), Evidence(evaluations=evaluations)).as_dict()["rows"]
    return {row["recipe"]: row for row in found if row["source"] == "measured"}


def test_a_full_run_stands_beside_the_error_that_its_file_quotes() -> None:
    other = replace(MEASURED, seed=1, run="elsewhere", top1_correct=8_210)
    found = rows(MEASURED, other)

    row = found["cifar-18pct"]
    assert (row["top1_error"], row["reported_top1_error"], row["seeds"]) == (0.18, 0.18, 2)
    assert row["verdict"] == "reproduced"
    assert {name: row["note"] for name, row in found.items() if name != "cifar-18pct"} == {
        name: "not run" for name in RECIPES if name != QUICK.name
    }


def test_what_is_not_run_is_listed_with_its_commands() -> None:
    commands = missing(find("cifar"), Evidence(evaluations=(MEASURED,)))

    assert "alexrepro train cifar-13pct --store cifar10" in commands
    assert "alexrepro train cifar-18pct --store cifar10" not in commands
    assert sum(command.endswith("--ten-crop") for command in commands) == 3  # 13pct with and without norms, 11pct
