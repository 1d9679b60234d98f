"""Made-up runs: folders with the files that reports read."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.evaluation import Evaluation, Member
from alexrepro.runs.rows import METRICS, VALIDATION
from alexrepro.runs.run import Run, run_of

MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(make_runs_in: Callable[[Path], MakeRun], tmp_path: Path) -> MakeRun:
    """Makes runs below tmp_path/runs."""
    return make_runs_in(tmp_path)


@pytest.fixture(scope="session")
def make_runs_in() -> Callable[[Path], MakeRun]:
    """Makes runs below a folder: two steps an epoch with these losses, one validation an epoch with these errors."""
    return partial(partial, made)


def made(
    folder: Path, recipe: Recipe, *, dataset: str = "ilsvrc2010-miniature", losses: tuple[float, ...] = (),
    errors: tuple[float, ...] = (), is_complete: bool = False, weights: dict[str, Any] | None = None, seed: int = 0,
    **environment: Any,
) -> Run:  # fmt: skip
    run = run_of(folder / "runs", recipe, dataset=dataset, seed=seed)
    run.folder.mkdir(parents=True)
    facts = {"seed": seed, "dataset": dataset, "stores": {"train": f"{dataset}-train-abc123"}, "steps_per_epoch": 2}
    run.begin(recipe, {**facts, **environment})
    run.add_metrics(
        dict(zip(METRICS, (i + 1, i // 2 + 1, 16, loss, 0.01, 100.0, ""), strict=True)) for i, loss in enumerate(losses)
    )
    for epoch, error in enumerate(errors, start=1):
        run.add_validation(
            dict(zip(VALIDATION, (epoch, f"{dataset}-val", "center", 50, error, error / 2, 1.5), strict=True))
        )
    if is_complete:
        run.finish({"finished": "2026-01-02T03:04:05+00:00"})
    if weights is not None:
        folder = run.checkpoints / "step-000000002"
        folder.mkdir(parents=True)
        save_file({name: np.asarray(value, dtype=np.float32) for name, value in weights.items()},
                  folder / "model.safetensors")  # fmt: skip
    return run


@pytest.fixture
def evaluation() -> Callable[..., Evaluation]:
    """An evaluation of a full run of a recipe, over ten crops, with 40 % and 18 % errors by default."""

    def make(recipe: Recipe, *, split: str, images: int = 50_000, **changes: Any) -> Evaluation:
        dataset = split.rpartition("-")[0]
        found = Evaluation(
            run=f"runs/{recipe.name}-{recipe.digest}/{dataset}-seed-0", recipe=recipe.name, digest=recipe.digest,
            seed=0, epochs=recipe.training.epochs, dataset=dataset, split=split, crops="ten", images=images,
            top1_correct=images * 60 // 100, top5_correct=images * 82 // 100, loss=1.7,
        )  # fmt: skip
        return replace(found, **changes)

    return make


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
