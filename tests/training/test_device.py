"""Machines: number formats, compiled loops, and that neither changes what a run learns or how it continues."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from alexrepro.data.loading.sampling import Batch
from alexrepro.data.store.store import Store
from alexrepro.device import Device, find_device
from alexrepro.errors import Exit, UserError
from alexrepro.paper.training import Training
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import checkpoint
from alexrepro.runs.run import Run
from alexrepro.training import train as training
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train

PLAIN, COMPILED = Device(torch.device("cpu")), Device(torch.device("cpu"), compiles=True)


def test_products_are_in_the_format_of_the_recipe() -> None:
    one = torch.ones(2, 2)
    found = {}

    for precision in ("float32", "bf16"):
        with PLAIN.autocast(Training(precision=precision)):  # type: ignore[arg-type]
            found[precision] = (one @ one).dtype

    assert found == {"float32": torch.float32, "bf16": torch.bfloat16}


def test_tf32_is_allowed_to_a_recipe_that_asks_for_it_and_to_no_later_one() -> None:
    found = []

    for precision in ("tf32", "float32", "tf32", "bf16"):
        PLAIN.autocast(Training(precision=precision))  # type: ignore[arg-type]
        found.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))

    assert found == [(True, True), (False, False)] * 2


def test_a_machine_says_whether_it_compiles() -> None:
    assert find_device("cpu").facts()["compiled"] is False
    assert COMPILED.facts()["compiled"] is True


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="cannot be used") as refused:
        find_device("cuda:99")

    assert refused.value.exit_code is Exit.NO_DEVICE


def test_torch_has_no_more_threads_than_the_program_has_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(4)

    find_device("cpu", processors=3)

    assert torch.get_num_threads() == 3


def run_of(recipe: Recipe, stores: dict[str, Store], device: Device, folder: Path) -> Run:
    return train(TrainingJob(recipe, store=stores["train"], validation=None, runs=folder, seed=0, device=device))


def losses(run: Run) -> torch.Tensor:
    return torch.tensor([float(row["loss"]) for row in run.metrics])


def with_both_norms(recipe: Recipe) -> Recipe:
    return recipe.but({"network.conv1.order": ("norm", "same_map_norm", "pool", "activation")})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "device", "tolerance"),
    [
        ("float32", COMPILED, 1e-5),  # sums in another order: 2^-24 of a loss of about 1, grown over nine updates
        ("tf32", PLAIN, 0.0),  # a processor computes float32
        ("bf16", PLAIN, 0.05),  # 2^-8 of logits of up to 10, which differ more as nine updates move apart
        ("bf16", COMPILED, 0.05),
    ],
)
def test_formats_and_compiled_loops_train_as_float32_does(  # noqa: PLR0917
    precision: str, device: Device, tolerance: float, recipe: Recipe, stores: dict[str, Store], tmp_path: Path
) -> None:
    chosen = with_both_norms(recipe)
    expected = losses(run_of(chosen, stores, PLAIN, tmp_path / "plain"))

    found = losses(run_of(chosen.but({"training.precision": precision}), stores, device, tmp_path / "other"))

    assert_close(found, expected, atol=tolerance, rtol=0)


@pytest.mark.slow
def test_a_stopped_run_with_compiled_loops_continues_to_the_same_bits(
    recipe: Recipe, stores: dict[str, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = with_both_norms(recipe).but({"training.precision": "bf16"})
    whole = run_of(chosen, stores, COMPILED, tmp_path / "whole")
    cut, done = training.training_crops, []

    def signal_then_cut(batch: Batch, **named: Any) -> torch.Tensor:
        done.append(1)
        if len(done) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return cut(batch, **named)

    monkeypatch.setattr(training, "training_crops", signal_then_cut)
    with pytest.raises(UserError, match="Stopped by SIGTERM"):
        run_of(chosen, stores, COMPILED, tmp_path / "stopped")
    continued = run_of(chosen, stores, COMPILED, tmp_path / "stopped")

    expected, found = (checkpoint.newest(run.checkpoints) for run in (whole, continued))
    assert expected is not None
    assert found is not None
    assert all(torch.equal(expected.weights[name], found.weights[name]) for name in expected.weights)
    assert all(torch.equal(expected.optimizer[name], found.optimizer[name]) for name in expected.optimizer)
