"""Made-up runs: folders with the files that reports read."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from alexrepro.paper.results import TEST_2010
from alexrepro.recipes.catalog import AS_RUN_2010
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.evaluation import Evaluation, Member
from alexrepro.runs.predictions import Neighbors
from alexrepro.runs.rows import METRICS, VALIDATION
from alexrepro.runs.run import Run, run_of


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """Makes runs below tmp_path/runs: two steps an epoch with these losses, one validation an epoch with these errors.

    training_errors: one for each epoch of a single step instead, as in Figure 1.
    """

    def make(
        recipe: Recipe, *, dataset: str = "ilsvrc2010-miniature", seed: int = 0, losses: Sequence[float] = (),
        training_errors: Sequence[float] = (), images: int = 50_000, errors: Sequence[float] = (),
        is_complete: bool = False, weights: dict[str, Any] | None = None, **environment: Any,
    ) -> Run:  # fmt: skip
        run = run_of(tmp_path / "runs", recipe, dataset=dataset, seed=seed)
        run.folder.mkdir(parents=True)
        facts = {"seed": seed, "dataset": dataset, "stores": {"train": f"{dataset}-train-abc123"}}
        run.begin(recipe, {**facts, "steps_per_epoch": 1 if training_errors else 2, **environment})
        steps = [(i, (i + 1) // 2, 16, loss, 0.01, 100.0, "") for i, loss in enumerate(losses, start=1)]
        steps += [(i, i, images, 1.0, 0.01, 1.0, error) for i, error in enumerate(training_errors, start=1)]
        run.add_metrics(dict(zip(METRICS, step, strict=True)) for step in steps)
        for epoch, error in enumerate(errors, start=1):
            validation = (epoch, f"{dataset}-val", "center", 50, error, error / 2, 1.5)
            run.add_validation(dict(zip(VALIDATION, validation, strict=True)))
        if is_complete:
            run.finish({"finished": "2026-01-02T03:04:05+00:00"})
        if weights is not None:
            folder = run.checkpoints / "step-000000002"
            folder.mkdir(parents=True)
            arrays = {name: np.asarray(value, dtype=np.float32) for name, value in weights.items()}
            save_file(arrays, folder / "model.safetensors")
        return run

    return make


@pytest.fixture
def evaluation() -> Callable[..., Evaluation]:
    """An evaluation of a full run of a recipe, over ten crops, with 40 % and 18 % errors by default."""

    def make(recipe: Recipe, *, split: str, images: int = 50_000, **changes: Any) -> Evaluation:
        dataset = split.rpartition("-")[0]
        found = Evaluation(
            run=f"runs/{recipe.name}-{recipe.digest}/{dataset}-seed-0", recipe=recipe.name, digest=recipe.digest,
            seed=0, epochs=recipe.training.epochs, dataset=dataset, split=split, crops="ten", images=images,
            top1_correct=images * 60 // 100, top5_correct=images * 82 // 100, loss=1.7, classes=recipe.network.classes,
        )  # fmt: skip
        return replace(found, **changes)

    return make


@pytest.fixture
def full(evaluation: Callable[..., Evaluation]) -> Evaluation:
    """A full run with 38 % and 17.3 % errors on the test split of 2010."""
    return evaluation(AS_RUN_2010, split=TEST_2010, images=150_000, top1_correct=93_000, top5_correct=124_000)


@pytest.fixture
def averaged(evaluation: Callable[..., Evaluation]) -> Callable[..., Evaluation]:
    """An evaluation of the average of full runs of these recipes, each with another seed."""

    def make(recipes: list[Recipe], *, split: str, **changes: Any) -> Evaluation:
        members = tuple(
            Member(f"runs/{seed}", recipe.name, recipe.digest, seed, recipe.training.epochs, 1 / len(recipes))
            for seed, recipe in enumerate(recipes)
        )
        one = evaluation(recipes[0], split=split, **changes)
        return replace(one, run="runs/ensembles/abcdef", recipe="ensemble", digest="abcdef", members=members)

    return make


@pytest.fixture
def neighbors() -> Callable[..., Neighbors]:
    """What Figure 4 shows: two black images with predictions, two with two neighbors each, of two classes."""

    def make(names: tuple[str, str] = ("wolf", "fox"), files: tuple[str, ...] = tuple("abcdefgh")) -> Neighbors:
        pictures = np.zeros((2, 256, 256, 3), dtype=np.uint8)
        return Neighbors(
            3, "fc7", "x-test-1", "x-train-2", 100, names, files[:4], (files[4:6], files[6:]),
            images=pictures, labels=np.array([0, 1]), top5=np.array([[0, 1], [0, 1]]),
            probabilities=np.array([[0.75, 0.25], [0.5, 0.5]], dtype=np.float32), queries=pictures,
            query_labels=np.array([1, 0]), neighbors=np.zeros((2, 2, 256, 256, 3), dtype=np.uint8),
            neighbor_labels=np.array([[1, 1], [0, 1]]), distances=np.array([[1, 2], [3, 4]], dtype=np.float32),
        )  # fmt: skip

    return make
