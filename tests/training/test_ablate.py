"""Ablations as a whole: interrupted and repeated, nothing is made twice, and no other store's numbers are taken."""

import signal
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.paper.results import Crops
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.variations import find_variation
from alexrepro.reports.tables.measured import delta_rows
from alexrepro.runs.evaluation import Evaluation, save_evaluation
from alexrepro.runs.paths import RunPaths
from alexrepro.runs.predictions import Predictions, write_predictions
from alexrepro.runs.run import Run
from alexrepro.training import train as training
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import ablate

from ..toy import before_steps

STEPS = 9  # of a run: 40 images in batches of 16, three epochs


@dataclass
class Ablation:
    """The toy recipe and its variation with tanh, with a record of every step and evaluation."""

    trials: list[tuple[Recipe, Crops]]
    job: TrainingJob
    test: Store
    seeds: tuple[int, ...] = (0, 1)
    steps: int = 0
    written: int = 0
    evaluated: list[Path] = field(default_factory=list)

    def __call__(self, runs: Path) -> list[Evaluation]:
        found = ablate(self.trials, replace(self.job, runs=runs), test=self.test, seeds=self.seeds)
        return [evaluation for evaluation in found if isinstance(evaluation, Evaluation)]


@pytest.fixture
def toy(recipe: Recipe, stores: dict[str, Store], device: Device, monkeypatch: pytest.MonkeyPatch) -> Ablation:
    """Stopped by a signal in its 13th step, which is in the second run, and killed while it evaluates the third."""
    tanh = recipe.but({"network.activation": "tanh"}, name="toy+tanh")
    job = TrainingJob(recipe, store=stores["train"], validation=None, runs=Path("runs"), seed=0, device=device)
    found = Ablation([(recipe, "ten"), (tanh, "ten")], job, stores["test"])
    evaluate = training.evaluate

    def count_step() -> None:
        found.steps += 1
        if found.steps == STEPS + 4:
            signal.raise_signal(signal.SIGTERM)

    def count_and_write(predictions: Predictions, path: Path) -> None:
        found.written += 1
        if found.written == 6:  # center and ten crops of two runs are written, and the center crop of the third
            raise KeyboardInterrupt
        write_predictions(predictions, path)

    def note_and_evaluate(run: Run, *arguments: Any, **settings: Any) -> Evaluation:
        evaluation = evaluate(run, *arguments, **settings)
        found.evaluated.append(run.folder)
        return evaluation

    before_steps(monkeypatch, range(1, 1000), count_step)
    monkeypatch.setattr("alexrepro.evaluation.evaluate.write_predictions", count_and_write)
    monkeypatch.setattr(training, "evaluate", note_and_evaluate)
    return found


def test_an_ablation_that_is_interrupted_twice_makes_nothing_twice(toy: Ablation, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Stopped by SIGTERM") as stopped:
        toy(tmp_path / "runs")
    with pytest.raises(KeyboardInterrupt):
        toy(tmp_path / "runs")

    continued = toy(tmp_path / "runs")

    assert stopped.value.exit_code is Exit.STOPPED
    assert toy.steps == 4 * STEPS
    assert len(set(toy.evaluated)) == len(toy.evaluated) == 4
    undisturbed = toy(tmp_path / "never interrupted")
    assert [replace(e, run="") for e in continued] == [replace(e, run="") for e in undisturbed]
    assert [(e.recipe, e.seed) for e in continued] == [("toy", 0), ("toy+tanh", 0), ("toy", 1), ("toy+tanh", 1)]
    assert toy(tmp_path / "runs") == continued
    assert toy.steps == 8 * STEPS  # of the second folder only


def test_only_evaluations_of_this_store_and_of_the_last_epoch_with_predictions_are_taken(
    toy: Ablation, tmp_path: Path
) -> None:
    toy.seeds, toy.steps, toy.written = (0,), 1000, 1000
    made = toy(tmp_path)
    files = RunPaths(Path(made[0].run))

    changes: list[dict[str, Any]] = [{"store": "of other images"}, {"epochs": 1}, {"store": None}]
    for change in changes:
        save_evaluation(replace(made[0], top1_correct=0, **change))
        assert toy(tmp_path) == made

    files.predictions(made[0].split, "ten").unlink()
    assert toy(tmp_path) == made
    assert files.predictions(made[0].split, "ten").exists()


def test_averaging_logits_evaluates_the_networks_of_the_base_once_more(toy: Ablation, tmp_path: Path) -> None:
    variation, (base, crops) = find_variation("average-logits"), toy.trials[0]
    toy.trials, toy.seeds = [(base, crops), (variation.of(base), variation.crops)], (0,)

    one, other = toy(tmp_path)

    row = delta_rows(variation, [one], [other])[0].cells()
    assert toy.steps == STEPS
    assert (one.run, one.crops, one.epochs) == (other.run, "ten", other.epochs)
    assert (row["crops"], row["top1_delta"]) == ("ten-logits", other.top1_error - one.top1_error)
    assert (row["top1_error"], row["base_top5_error"]) == (other.top1_error, one.top5_error)
    assert str(row["interval"]).startswith("95 %, paired")
