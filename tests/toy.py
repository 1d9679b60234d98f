"""A toy recipe, and its stores: sixty-pixel pictures of two classes, prepared like any data set."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from alexrepro.data.store.prepare import prepare
from alexrepro.data.store.store import Store
from alexrepro.device import Device, find_device
from alexrepro.paper.network import Network, Stage
from alexrepro.paper.training import At, Script
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.run import Run
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train

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
    generator = np.random.default_rng(0)
    for split, count in IMAGES.items():
        for kind in ("stripes", "spots"):
            folder = source / split / kind
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number}.JPEG").write_bytes(simplejpeg.encode_jpeg(picture(kind, generator), quality=95))
    return prepare(source, out=tmp_path_factory.mktemp("stores"), workers=1)


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
def toy(stores: dict[str, Store], recipe: Recipe, device: Device) -> Callable[..., Run]:
    """Trains the recipe, or another one, into a folder of runs."""

    def run(folder: Path, *, chosen: Recipe = recipe, seed: int = 0) -> Run:
        return train(
            TrainingJob(chosen, store=stores["train"], validation=stores["val"], runs=folder, seed=seed, device=device),
        )

    return run
