"""Ablations as a whole: interrupted and repeated, nothing is made twice, and no other store's numbers are taken."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from alexrepro.data.loading.sampling import Batch
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.paper.results import Crops
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.variations import find_variation
from alexrepro.reports.tables.delta_rows import delta_table
from alexrepro.runs.evaluation import Evaluation, EvaluationFiles
from alexrepro.runs.predictions import Predictions, write_predictions
from alexrepro.runs.run import Run
from alexrepro.training import ablate as ablation
from alexrepro.training import train as training
from alexrepro.training.ablate import ablate
from alexrepro.training.job import TrainingJob

UPDATES = 9  # of a run: 40 images in batches of 16, three epochs


class Ablation:
    """The toy recipe and its variation with tanh, with what was done noted."""

    def __init__(
        self, recipe: Recipe, stores: dict[str, Store], device: Device, *, seeds: tuple[int, ...] = (0, 1)
    ) -> None:
        tanh = recipe.but({"network.activation": "tanh"}, name="toy+tanh")
        self.trials: list[tuple[Recipe, Crops]] = [(recipe, "ten"), (tanh, "ten")]
        self.stores, self.device, self.seeds = stores, device, seeds
        self.updates, self.written, self.tested = 0, 0, list[str]()

    def __call__(self, runs: Path) -> list[Evaluation]:
        job = TrainingJob(
            self.trials[0][0], store=self.stores["train"], validation=None, runs=runs, seed=0, device=self.device
        )
        found = ablate(self.trials, job, test=self.stores["test"], seeds=self.seeds)
        return [evaluation for evaluations in found for evaluation in evaluations]


@pytest.fixture
def toy(recipe: Recipe, stores: dict[str, Store], device: Device, monkeypatch: pytest.MonkeyPatch) -> Ablation:
    """Stopped by a signal in its 13th update, which is in the second run, and killed while it tests the third."""
    found = Ablation(recipe, stores, device)
    cut, write, test = training.training_crops, write_predictions, ablation.evaluate

    def noted_update(batch: Batch, **named: Any) -> torch.Tensor:
        found.updates += 1
        if found.updates == UPDATES + 4:
            signal.raise_signal(signal.SIGTERM)
        return cut(batch, **named)

    def noted_write(predictions: Predictions, path: Path) -> None:
        found.written += 1
        if found.written == 6:  # center and ten crops of two runs are written, and the center crop of the third
            raise KeyboardInterrupt
        write(predictions, path)

    def noted_test(run: Run, *arguments: object, **settings: object) -> Evaluation:
        evaluation = test(run, *arguments, **settings)  # type: ignore[arg-type]
        found.tested.append(str(run.folder))
        return evaluation

    monkeypatch.setattr(training, "training_crops", noted_update)
    monkeypatch.setattr("alexrepro.evaluation.evaluate.write_predictions", noted_write)
    monkeypatch.setattr(ablation, "evaluate", noted_test)
    return found


def wherever(evaluations: list[Evaluation]) -> list[Evaluation]:
    return [replace(evaluation, run="") for evaluation in evaluations]


def test_an_ablation_that_is_interrupted_twice_makes_nothing_twice(toy: Ablation, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Stopped by SIGTERM") as stopped:
        toy(tmp_path / "runs")
    with pytest.raises(KeyboardInterrupt):
        toy(tmp_path / "runs")

    continued = toy(tmp_path / "runs")

    assert stopped.value.exit_code is Exit.STOPPED
    assert toy.updates == 4 * UPDATES
    assert len(set(toy.tested)) == len(toy.tested) == 4
    assert wherever(continued) == wherever(toy(tmp_path / "never interrupted"))
    assert [(e.recipe, e.seed) for e in continued] == [("toy", 0), ("toy", 1), ("toy+tanh", 0), ("toy+tanh", 1)]
    assert toy(tmp_path / "runs") == continued
    assert toy.updates == 8 * UPDATES  # of the second folder only


@pytest.fixture(scope="module")
def finished(
    recipe: Recipe, stores: dict[str, Store], device: Device, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Ablation, Path, list[Evaluation]]:
    """An ablation of one seed, its folder of runs and what it found."""
    toy, runs = Ablation(recipe, stores, device, seeds=(0,)), tmp_path_factory.mktemp("runs")
    return toy, runs, toy(runs)


@pytest.mark.parametrize(
    "changes", [{"store": "of other images"}, {"epochs": 1}, {"store": None}], ids=["other store", "shorter", "old"]
)
def test_only_evaluations_of_this_store_and_of_the_last_epoch_are_taken(
    finished: tuple[Ablation, Path, list[Evaluation]], changes: dict[str, Any]
) -> None:
    toy, runs, made = finished
    EvaluationFiles(Path(made[0].run)).save(replace(made[0], top1_correct=0, **changes))

    assert toy(runs) == made


def test_an_evaluation_without_its_predictions_is_made_again(
    finished: tuple[Ablation, Path, list[Evaluation]],
) -> None:
    toy, runs, made = finished
    predictions = EvaluationFiles(Path(made[0].run)).predictions(made[0].split, "ten")
    predictions.unlink()

    assert toy(runs) == made
    assert predictions.exists()


def test_averaging_logits_tests_the_networks_of_the_base_once_more(toy: Ablation, tmp_path: Path) -> None:
    variation, (base, crops) = find_variation("average-logits"), toy.trials[0]
    toy.trials, toy.seeds = [(base, crops), (variation.of(base), variation.crops)], (0,)

    one, other = toy(tmp_path)

    (row,) = delta_table([one], {variation.name: [other]}, name="ablations").as_dict()["rows"]
    assert toy.updates == UPDATES
    assert (one.run, one.crops, one.epochs) == (other.run, "ten", other.epochs)
    assert (row["crops"], row["top1_delta"]) == ("ten-logits", other.top1_error - one.top1_error)
    assert row["interval"].startswith("95 %, paired")
