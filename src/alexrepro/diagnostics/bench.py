"""Images per second of the loader and of the training step on this machine, and the training time that follows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain, count, islice
from math import ceil
from statistics import median
from time import perf_counter
from typing import Literal

import torch
import torch.nn.functional as F

from alexrepro.data.loading.loader import Loader, default_workers
from alexrepro.data.loading.sampling import training_plan
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.evaluation.inference import check_compatible
from alexrepro.model.alexnet import build
from alexrepro.progress import progress
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.optimizer import make_optimizer

BATCHES_A_ROUND = 16  # of the loader; a step takes longer than a batch

Round = Callable[[], tuple[int, float]]  # images and the seconds that they took
Part = Literal["loader", "step"]


@dataclass(frozen=True)
class Estimate:
    """The training time of a recipe, the slower part, and how many loader workers would keep up with the step."""

    epochs: int
    images: int
    hours: float
    slower: Part
    workers: int
    workers_needed: int


def bench(recipe: Recipe, store: Store, device: Device, *, rounds: int) -> dict[Part, list[float]]:
    """Images per second of the loader and of the training step, measured in alternation, after a round to warm up.

    Raises UserError if the recipe wants images of another size than the store has.
    """
    check_compatible(recipe, store)
    parts: dict[Part, Round] = {"loader": _loader(recipe, store, device), "step": _step(recipe, device)}
    found: dict[Part, list[float]] = {part: [] for part in parts}
    with progress("bench", total=rounds, unit="rounds") as advance:
        for run in parts.values():
            run()
        for _ in range(rounds):
            for part, run in parts.items():
                images, seconds = run()
                found[part].append(images / seconds)
            advance(1, ", ".join(f"{part} {median(rates):,.0f} images/s" for part, rates in found.items()))
    return found


def estimate(recipe: Recipe, rates: Mapping[Part, list[float]], *, images: int) -> Estimate:
    """The time of a whole training on a number of images, which the slower of loader and step decides."""
    pace = {part: median(rounds) for part, rounds in rates.items()}
    slower: Part = "loader" if pace["loader"] < pace["step"] else "step"
    hours = recipe.training.epochs * images / pace[slower] / 3600
    needed = ceil(default_workers() * pace["step"] / pace["loader"])
    return Estimate(recipe.training.epochs, images, hours, slower, default_workers(), needed)


def _loader(recipe: Recipe, store: Store, device: Device) -> Round:
    """Batches as a training reads them."""
    training, side_px = recipe.training, recipe.network.input_px
    plan = training_plan(
        len(store), seed=0, epoch=1, augmentation=recipe.augmentation, side_px=side_px,
        shuffle_every_epoch=training.shuffle_every_epoch,
    )  # fmt: skip

    def run() -> tuple[int, float]:
        with Loader(store, batch=training.batch, side_px=side_px, copies=device.copies) as loader:
            batches = chain.from_iterable(loader.batches(plan) for _ in count())
            next(batches)  # the workers have started
            started = perf_counter()
            images = sum(len(batch) for batch in islice(batches, BATCHES_A_ROUND))
            return images, perf_counter() - started

    return run


def _step(recipe: Recipe, device: Device) -> Round:
    """One training step on a batch that is on the device: forward, backward and the update rule of §5."""
    training, network = recipe.training, recipe.network
    model = build(network, seed=0).to(device.torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward, momentum = device.compiled(model), make_optimizer(model, training, compiles=device.compiles)
    rates = training.rates(network.stages, epoch=1)
    size = (training.batch, network.channels, network.input_px, network.input_px)
    crops = torch.randn(size, device=device.torch_device).mul_(60).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(training.batch, device=device.torch_device) % network.classes

    def run() -> tuple[int, float]:
        started = perf_counter()
        masks = model.draw_masks(training.batch, key_of_step=0)
        with device.autocast(training):
            logits = forward(crops, masks)
        F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
        momentum.step(rates)
        device.synchronize()
        return training.batch, perf_counter() - started

    return run
