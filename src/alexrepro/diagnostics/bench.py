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

from alexrepro.data.loading.crops import training_crops
from alexrepro.data.loading.loader import Loader, Workers, default_workers
from alexrepro.data.loading.sampling import EpochPlan, training_plan
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.evaluation.inference import check_compatible, pixels_of
from alexrepro.model.alexnet import build
from alexrepro.progress import progress
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.fast_step import Source, fast_training
from alexrepro.training.layouts import PRECISIONS
from alexrepro.training.optimizer import make_optimizer

GPU_WARM_UPS, GPU_STEPS = 5, 50  # the first steps of a GPU compile, record and choose kernels
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
    parts: dict[Part, Round] = {"loader": _loader(recipe, store, device), "step": _step(recipe, store, device)}
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
    images = round(images * recipe.training.images_fraction)
    hours = recipe.training.epochs * images / pace[slower] / 3600
    needed = ceil(default_workers() * pace["step"] / pace["loader"])
    return Estimate(recipe.training.epochs, images, hours, slower, default_workers(), needed)


def hours_by_precision(recipe: Recipe, store: Store, device: Device) -> dict[str, float]:
    """Hours that the steps of a training on a store take in each precision, the recipe's own first."""
    own, found = recipe.training.precision, dict[str, float]()
    for precision in sorted(PRECISIONS, key=lambda each: each != own):
        images, seconds = _step(recipe.but({"training.precision": precision}), store, device)()
        shown = recipe.training.epochs * recipe.training.images_fraction * len(store)
        found[precision] = shown * seconds / images / 3600
    return found


def _plan(recipe: Recipe, store: Store) -> EpochPlan:
    return training_plan(
        len(store), seed=0, epoch=1, augmentation=recipe.augmentation, side_px=recipe.network.input_px,
        shuffle_every_epoch=recipe.training.shuffle_every_epoch,
    )  # fmt: skip


def _loader(recipe: Recipe, store: Store, device: Device) -> Round:
    """Batches as a training reads them."""
    training, side_px, plan = recipe.training, recipe.network.input_px, _plan(recipe, store)

    def run() -> tuple[int, float]:
        with Loader(store, batch=training.batch, side_px=side_px, copies=device.copies) as loader:
            batches = chain.from_iterable(loader.batches(plan) for _ in count())
            next(batches)  # the workers have started
            started = perf_counter()
            images = sum(len(batch) for batch in islice(batches, BATCHES_A_ROUND))
            return images, perf_counter() - started

    return run


def _step(recipe: Recipe, store: Store, device: Device) -> Round:
    """Training steps on one batch that is on the device, as `train` takes them."""
    training, network, images = recipe.training, recipe.network, recipe.training.batch
    model = build(network, seed=0).to(device.torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward, optimizer = device.with_fast_norms(model), make_optimizer(model, training, compiles=device.compiles)
    rates, pixels = training.rates(network.stages, epoch=1), pixels_of(store).to(device.torch_device)
    optimizer.freeze(rates)
    fast = fast_training(Source(model, optimizer, pixels, recipe, recipe.augmentation), device, seed=0)
    one = Workers(1)
    with Loader(store, batch=images, side_px=network.input_px, copies=device.copies, workers=one) as loader:
        batch = next(iter(loader.batches(_plan(recipe, store)))).clone()

    def step(number: int) -> None:
        if fast and fast.is_ready(batch, images=images, rates=rates, augmentation=recipe.augmentation):
            fast(batch, step=number)
            return
        crops = training_crops(batch, pixels=pixels, augmentation=recipe.augmentation)
        masks = model.draw_masks(images, key_of_step=number)
        with device.autocast(training):
            logits = forward(crops, masks)
        F.cross_entropy(logits.float(), batch.labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step(rates)

    def run() -> tuple[int, float]:
        steps = GPU_STEPS if device.is_gpu else 1
        for number in range(GPU_WARM_UPS if device.is_gpu else 0):
            step(number)
        device.synchronize()
        started = perf_counter()
        for number in range(steps):
            step(number)
        device.synchronize()
        return steps * images, perf_counter() - started

    return run
