"""A toy recipe and its stores, 60 x 80 pictures of two kinds; trains it, stops it, and compares runs."""

import signal
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import simplejpeg
import torch

from alexrepro.data.loading.sampling import Batch, EpochPlan
from alexrepro.data.store.prepare import prepare
from alexrepro.data.store.store import Store
from alexrepro.device import Device, find_device
from alexrepro.paper.network import Network, Stage
from alexrepro.paper.training import At, Script
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import checkpoint
from alexrepro.runs.run import Run
from alexrepro.training import train as training
from alexrepro.training.job import TrainingJob
from alexrepro.training.state import TrainingState
from alexrepro.training.train import train

Train = Callable[..., Run]

NORM_POOL = ("norm", "pool", "activation")
IMAGES = {"train": 20, "val": 7, "test": 9}  # per class; none divides by the batch


@pytest.fixture(scope="session", autouse=True)
def signals_that_are_heard() -> Iterator[None]:
    """Signals are heard, by what tests start too, also where the suite runs under nohup or behind a shell's `&`."""
    usual = {signal.SIGHUP: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    source = tmp_path_factory.mktemp("photos")
    write_images(source, IMAGES)
    return prepare(source, out=tmp_path_factory.mktemp("stores"), workers=1)


def write_images(folder: Path, counts: dict[str, int]) -> None:
    """Pictures of two kinds, with a count for each kind and split."""
    generator = np.random.default_rng(0)
    for split, images in counts.items():
        for kind in ("stripes", "spots"):
            (folder / split / kind).mkdir(parents=True)
            for number in range(images):
                content = simplejpeg.encode_jpeg(picture(kind, generator), quality=95)
                (folder / split / kind / f"{number}.JPEG").write_bytes(content)


def picture(kind: str, generator: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[0:60, 0:80] + generator.integers(0, 60)
    pattern = np.sin(x / 3) if kind == "stripes" else np.sin(x / 3) * np.sin(y / 3)
    color = generator.uniform(30, 100, size=3)
    noise = generator.normal(0, 8, size=(60, 80, 1))
    return np.clip(128 + pattern[..., None] * color + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """Two stages with every operation, three short epochs, a schedule with every kind of line."""
    stages = (
        Stage("conv1", maps=8, kernel_px=11, stride_px=8, reads="both", weight_std=0.02, order=NORM_POOL),
        Stage("fc2", kind="full", maps=16, reads="both", weight_std=0.02, bias=1.0, order=("activation", "dropout")),
        Stage("fc3", kind="full", maps=2, reads="both", weight_std=0.1, order=()),
    )
    off = At(3, learning_rate=0.0, bias_learning_rate=0.0, stages=("conv1",))
    script = Script((At(2, learning_rate=2e-4), At(2, color_shift=False), off))
    return Recipe(name="toy", network=Network(stages=stages)).but(
        {"training.schedule": script, "training.batch": 16, "training.epochs": 3, "training.learning_rate": 1e-3,
         "training.bias_learning_rate": 1e-3, "augmentation.images_per_crop": 4}
    )  # fmt: skip


@pytest.fixture(scope="session")
def device() -> Device:
    return find_device("cpu")


@pytest.fixture(scope="session")
def toy(stores: dict[str, Store], recipe: Recipe, device: Device) -> Train:
    """Trains the recipe, or another one, into a folder of runs; options are those of a job."""

    def run(folder: Path, *, chosen: Recipe = recipe, **options: Any) -> Run:
        usual = {"store": stores["train"], "validation": stores["val"], "seed": 0, "device": device}
        return train(TrainingJob(chosen, runs=folder, **(usual | options)))

    return run


@pytest.fixture(scope="session")
def whole(toy: Train, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of nine steps in three epochs that nobody stopped."""
    torch.set_num_threads(1)
    return toy(tmp_path_factory.mktemp("whole"))


def before_steps(patch: pytest.MonkeyPatch, steps: Container[int], act: Callable[[], object]) -> None:
    """Have something happen before these steps of trainings, counted from 1 over all of them."""
    cut, number = training.training_crops, count(1)

    def act_then_cut(batch: Batch, **named: Any) -> torch.Tensor:
        if next(number) in steps:
            act()
        return cut(batch, **named)

    patch.setattr(training, "training_crops", act_then_cut)


@contextmanager
def power_cut(epoch: int = 2) -> Iterator[None]:
    """The training within ends with an OSError at the beginning of an epoch."""
    plan = TrainingState.plan

    def plan_or_end(state: TrainingState, number: int) -> EpochPlan:
        if number == epoch:
            raise OSError("power cut")
        return plan(state, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingState, "plan", plan_or_end)
        with pytest.raises(OSError, match="power cut"):
            yield


def state_of(run: Run) -> dict[str, torch.Tensor]:
    """Weights and velocities of the newest checkpoint."""
    saved = checkpoint.newest(run.checkpoints)
    assert saved is not None
    return {**{f"w {k}": v for k, v in saved.weights.items()}, **{f"v {k}": v for k, v in saved.optimizer.items()}}


def without_pace(run: Run) -> pd.DataFrame:
    return run.metrics.drop(columns="images_per_second")


def assert_same(found: Run, expected: Run) -> None:
    """The same weights and velocities, bit for bit, and the same rows but for the pace."""
    ours, theirs = state_of(found), state_of(expected)
    assert set(ours) == set(theirs)
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert without_pace(found).equals(without_pace(expected))
    assert found.validations.equals(expected.validations)
