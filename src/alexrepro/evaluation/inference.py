"""Inference: probabilities averaged over crops (§4.1) and over networks (§6), batch by batch, each image once.

The softmax outputs of the crops are averaged (layer.cu LogregCostLayer), then those of the networks, with weights that
sum to 1 (avg-test.py). The center crop is one of the ten, so one pass scores both. B batch, K classes.
"""

import hashlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexrepro.data.loading.crops import Pixels, evaluation_crops, windows
from alexrepro.data.loading.loader import load_batches, workers_for
from alexrepro.data.loading.sampling import Batch, evaluation_plan
from alexrepro.data.store.store import Store
from alexrepro.device import Device, find_device
from alexrepro.distributed.process_group import ProcessGroup
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.metrics import Scores, score
from alexrepro.paper.results import Crops
from alexrepro.progress import progress
from alexrepro.recipes.recipe import Recipe

BATCH = 128  # changes the time only
SCORED: Mapping[Crops, tuple[Crops, ...]] = {  # what one pass over these crops scores
    "center": ("center",),
    "ten": ("center", "ten"),
    "ten-logits": ("center", "ten", "ten-logits"),
}
COMPILED_FROM_CROPS = 10_000  # 20 s of a core for the compiler; 2 ms and more saved per crop of the full-width network


def device_for(device: str, compiles: bool | None, *, images: int, crops: Crops) -> Device:
    """The device for inference; by default it compiles if inference on these images takes longer than compiling."""
    if compiles is None:
        compiles = images * len(windows(crops, 1, 1, 1)) >= COMPILED_FROM_CROPS
    return find_device(device, compiles=compiles)


@dataclass(frozen=True)
class Model:
    """A trained network with all that inference needs, and its weight in an average.

    network: maps crops to logits (B, K), a module or its compiled form. order: (K,) the network's output for each class
    of the store; None if both have the same order.
    """

    network: Callable[[Tensor], Tensor]
    recipe: Recipe
    pixels: Pixels
    weight: float = 1.0
    order: Tensor | None = None


@dataclass(frozen=True)
class EvaluationJob:
    """The models to average, the images they see, and where this is computed. Replicas of a group share the images.

    title: of the progress bar; by default the split and the crops.
    """

    models: Sequence[Model]
    store: Store
    crops: Crops
    device: Device
    group: ProcessGroup = field(default_factory=ProcessGroup)
    title: str = ""


@dataclass(frozen=True)
class ScoredBatch:
    """A batch with its averaged probabilities, float32 (B, K), and its scores, by crops."""

    batch: Batch
    probabilities: Mapping[Crops, Tensor]
    scores: Mapping[Crops, Scores]


def scored_batches(job: EvaluationJob) -> Generator[ScoredBatch, None, None]:
    """This replica's part of the images of a store, in stored order. Raises UserError if outputs are not finite."""
    store, crops, shard = job.store, SCORED[job.crops], job.group.shard
    title = job.title or f"{store.manifest.full_name}, {'center crop' if job.crops == 'center' else 'ten crops'}"
    correct = seen = 0
    with progress(title, total=len(store) // shard[1]) as advance:
        device, plan = job.device, evaluation_plan(len(store), side_px=store.side_px)
        batches = load_batches(
            store, plan, batch=BATCH * shard[1], shard=shard, copies=device.copies,
            workers=workers_for(gpu=device.is_gpu, number=job.group.loader_workers),
        )  # fmt: skip
        for batch in batches:
            weighted = (averages(model, batch.crops, crops=crops, device=job.device) for model in job.models)
            mean = reduce(lambda a, b: {name: a[name] + b[name] for name in crops}, weighted)
            scored = ScoredBatch(batch, mean, {name: score(mean[name], batch.labels) for name in crops})
            yield scored
            correct, seen = correct + scored.scores[crops[-1]].counts().top1_correct, seen + len(batch)
            advance(
                len(batch), f"top-1 error so far {1 - correct / max(seen, 1):.1%}" if store.manifest.labeled else ""
            )


@torch.no_grad()
def averages(model: Model, images: Tensor, *, crops: Sequence[Crops], device: Device) -> dict[Crops, Tensor]:
    """The softmax outputs of a network averaged over crops, times its weight: float32 (B, K) for each of the crops.

    For `ten-logits`, the softmax of the averaged logits. images: uint8 (B, 3, 256, 256) on the device, where crops are
    cut one after the other.
    """
    side_px = model.recipe.network.input_px
    widest: Crops = "center" if set(crops) == {"center"} else "ten"
    inputs = evaluation_crops(
        images, crops=widest, side_px=side_px, pixels=model.pixels, augmentation=model.recipe.augmentation
    )
    (center,) = windows("center", images.shape[-2], images.shape[-1], side_px)
    crops_of_image = windows(widest, images.shape[-2], images.shape[-1], side_px)
    found: dict[Crops, Tensor] = {}
    for window, crop in zip(crops_of_image, inputs, strict=True):
        with device.autocast(model.recipe.training):
            logits = model.network(crop).float()
        outputs = logits.softmax(1)
        found["ten"] = found.get("ten", 0) + outputs
        found["ten-logits"] = found.get("ten-logits", 0) + logits
        if window == center:
            found["center"] = outputs
    if not bool(found["ten"].isfinite().all()):
        raise UserError(
            "The network's outputs are not finite: its training diverged.",
            fix="Begin a new run at lower rates: alexrepro train RUN --set training.learning_rate_factor=0.5",
            exit_code=Exit.BAD_DATA,
        )
    found["ten"] = found["ten"] / len(crops_of_image)
    found["ten-logits"] = (found["ten-logits"] / len(crops_of_image)).softmax(1)
    means = {name: model.weight * found[name] for name in crops}
    return means if model.order is None else {name: mean[:, model.order] for name, mean in means.items()}


def read_images(store: Store, rows: Sequence[int]) -> NDArray[np.uint8]:
    """Images of a store, uint8 (N, 256, 256, 3)."""
    images = np.empty((len(rows), store.side_px, store.side_px, 3), dtype=np.uint8)
    for row, image in zip(rows, images, strict=True):
        store.pixels(row, image)
    return images


def center_crops(store: Store, *, recipe: Recipe, pixels: Pixels, most: int = 64) -> tuple[Tensor, Tensor]:
    """Center crops of images spread evenly over a store, on the device of the mean image, and their labels."""
    rows = np.linspace(0, len(store) - 1, num=min(most, len(store)), dtype=np.int64)
    images = torch.from_numpy(read_images(store, rows.tolist())).permute(0, 3, 1, 2).to(pixels.mean_image.device)
    (crops,) = evaluation_crops(
        images, crops="center", side_px=recipe.network.input_px, pixels=pixels, augmentation=recipe.augmentation
    )
    return crops, torch.from_numpy(store.labels[rows]).to(crops.device)


def preprocessing(models: Sequence[Model], store: Store, crops: Crops) -> str:
    """A digest of everything between a stored image and the networks: hexadecimal SHA-256.

    It covers the store's images and how they were made, and for each model the crops in their order, what is
    subtracted from them and what they are divided by.
    """
    shown = [
        {
            "crops": windows(crops, store.side_px, store.side_px, model.recipe.network.input_px),
            "crop_px": model.recipe.network.input_px,
            "mean": model.recipe.augmentation.mean,
            "mean_image": hashlib.sha256(model.pixels.mean_image.cpu().numpy().tobytes()).hexdigest(),
            "divided_by": model.recipe.network.input_std,
        }
        for model in models
    ]
    parts = {"store": store.manifest.digest, "rule": store.manifest.rule, "shown": shown}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
