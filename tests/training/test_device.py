"""Devices: number formats, compiled loops and memory; none changes what a run learns or how it continues."""

import signal
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from alexrepro.device import Device, find_device
from alexrepro.errors import Exit, UserError
from alexrepro.paper.training import Training
from alexrepro.recipes.recipe import Recipe

from ..toy import Train, assert_same, before_steps

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


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="cannot be used") as refused:
        find_device("cuda:99")

    assert refused.value.exit_code is Exit.NO_DEVICE


def test_torch_has_no_more_threads_than_the_program_has_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(4)

    find_device("cpu", processors=3)

    assert torch.get_num_threads() == 3


def test_too_little_memory_asks_for_a_smaller_batch() -> None:
    with pytest.raises(UserError, match="A batch of 128 does not fit") as refused, PLAIN.enough_memory(batch=128):
        raise torch.OutOfMemoryError("Tried to allocate 20.00 GiB. More words.")

    assert refused.value.what.endswith("of cpu: Tried to allocate 20.00 GiB.")
    assert refused.value.exit_code == Exit.OUT_OF_MEMORY
    assert "--set training.batch" in refused.value.fix


@pytest.fixture
def both_norms(recipe: Recipe) -> Recipe:
    return recipe.but({"network.conv1.order": ("norm", "same_map_norm", "pool", "activation")})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "on", "tolerance"),
    [
        ("float32", COMPILED, 1e-5),  # sums in another order: 2^-24 of a loss of about 1, grown over nine steps
        ("tf32", PLAIN, 0.0),  # a processor computes float32
        ("bf16", PLAIN, 0.05),  # 2^-8 of logits of up to 10, which differ more as nine steps move apart
        ("bf16", COMPILED, 0.05),
    ],
)
def test_formats_and_compiled_loops_train_as_float32_does(  # noqa: PLR0917
    precision: str, on: Device, tolerance: float, both_norms: Recipe, toy: Train, tmp_path: Path
) -> None:
    other = both_norms.but({"training.precision": precision})

    plain, found = toy(tmp_path / "plain", chosen=both_norms), toy(tmp_path / "other", chosen=other, device=on)

    losses = (torch.tensor(run.metrics["loss"].tolist()) for run in (found, plain))
    assert_close(*losses, atol=tolerance, rtol=0)


@pytest.mark.slow
def test_a_stopped_run_with_compiled_loops_continues_to_the_same_bits(
    both_norms: Recipe, toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"chosen": both_norms.but({"training.precision": "bf16"}), "device": COMPILED}
    whole = toy(tmp_path / "whole", **options)
    before_steps(monkeypatch, [4], lambda: signal.raise_signal(signal.SIGTERM))

    with pytest.raises(UserError, match="Stopped by SIGTERM"):
        toy(tmp_path / "stopped", **options)

    assert_same(toy(tmp_path / "stopped", **options), whole)
