"""Inference: probabilities averaged over crops (§4.1) and over networks (§6), batch by batch, each image once.

The softmax outputs of the crops are averaged (layer.cu LogregCostLayer), then those of the networks, with weights that
sum to 1 (avg-test.py). The center crop is one of the ten, so one pass scores both. B batch, K classes.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from alexrepro.data.loading.crops import Pixels, evaluation_crops, rgb_crops, windows
from alexrepro.data.loading.loader import Loader, Workers
from alexrepro.data.loading.sampling import Batch, evaluation_plan
from alexrepro.data.store.store import Store
from alexrepro.device import Device, find_device
from alexrepro.distributed.process_group import ProcessGroup
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.metrics import Outcomes, counts_of, outcomes_of
from alexrepro.files import write_bytes
from alexrepro.model.alexnet import AlexNet
from alexrepro.paper.network import Network
from alexrepro.paper.results import Crops
from alexrepro.progress import progress
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import checkpoint
from alexrepro.runs.run import Run

BATCH = 128  # changes the time only
SCORED: Mapping[Crops, tuple[Crops, ...]] = {  # what one pass over these crops scores
    "center": ("center",),
    "ten": ("center", "ten"),
    "ten-logits": ("center", "ten", "ten-logits"),
}
LOOK_EVERY = 100  # batches of a GPU, whether its outputs are finite and how many are correct
COMPILED_FROM_CROPS = 10_000  # 20 s of a core for the compiler; 2 ms and more saved per crop of the full-width network


def device_for(device: str, compiles: bool | None, *, images: int, crops: Crops) -> Device:
    """The device for inference; by default it compiles if inference on these images takes longer than compiling."""
    if compiles is None:
        compiles = images * len(windows(crops, 1, 1, 1)) >= COMPILED_FROM_CROPS
    return find_device(device, compiles=compiles)


@dataclass(frozen=True)
class Model:
    """A trained network with all that inference needs, and its weight in an average.

    network: maps crops to logits (B, K), valid until its next call. order: (K,) the network's output for each class
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
    """A batch with its averaged probabilities, float32 (B, K), and its outcomes, by crops."""

    batch: Batch
    probabilities: Mapping[Crops, Tensor]
    outcomes: Mapping[Crops, Outcomes]
    sums: Tensor  # of the outcomes of the crops that the job asks for


def loader_of(job: EvaluationJob) -> Loader:
    """The loader of the images of a job, which may be kept for others on the same store."""
    return Loader(
        job.store, batch=BATCH * job.group.shard[1], side_px=job.store.side_px, parts=job.group.parts,
        copies=job.device.copies, workers=Workers(job.group.loader_workers),
    )  # fmt: skip


def scored_batches(job: EvaluationJob, loader: Loader | None = None) -> Generator[ScoredBatch, None, None]:
    """This replica's part of the images of a store, in stored order. Raises UserError if outputs are not finite.

    loader: of the images, if it is kept open. A GPU's outputs are looked at now and then, since that waits for them.
    """
    store, crops, seen, note = job.store, SCORED[job.crops], 0, ""
    title = job.title or f"{store.manifest.full_name}, {'center crop' if job.crops == 'center' else 'ten crops'}"
    sums = torch.zeros(4, dtype=torch.float64, device=job.device.torch_device)
    images = len(store) // job.group.shard[1]
    with progress(title, total=images) as advance, nullcontext(loader) if loader else loader_of(job) as opened:
        for number, batch in enumerate(opened.batches(evaluation_plan(len(store))), start=1):
            pixels = rgb_crops(batch)
            weighted = (averages(model, pixels, crops=crops, device=job.device) for model in job.models)
            mean = reduce(lambda a, b: {name: a[name] + b[name] for name in crops}, weighted)
            outcomes = {name: outcomes_of(mean[name], batch.labels) for name in crops}
            scored = ScoredBatch(batch, mean, outcomes, outcomes[crops[-1]].sums())
            sums, seen = sums + scored.sums, seen + len(batch)
            if not job.device.is_gpu or number % LOOK_EVERY == 0:
                correct = counts_of(seen, sums.tolist()).top1_correct
                note = f"top-1 error so far {1 - correct / max(seen, 1):.1%}" if store.manifest.labeled else ""
            yield scored
            advance(len(batch), note)
        counts_of(seen, sums.tolist())


@torch.no_grad()
def averages(model: Model, images: Tensor, *, crops: Sequence[Crops], device: Device) -> dict[Crops, Tensor]:
    """The softmax outputs of a network averaged over crops, times its weight: float32 (B, K) for each of the crops.

    For `ten-logits`, the softmax of the averaged logits. images: uint8 (B, 3, 256, 256) on the device, where crops are
    cut one after the other. The outputs may be NaN (`check_finite`), for which this does not wait.
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
    found["ten"] = found["ten"] / len(crops_of_image)
    found["ten-logits"] = (found["ten-logits"] / len(crops_of_image)).softmax(1)
    means = {name: model.weight * found[name] for name in crops}
    return means if model.order is None else {name: mean[:, model.order] for name, mean in means.items()}


def last_hidden(network: Network) -> str:
    """The last stage with an activation: fc7, the 4096-dimensional last hidden layer, in the paper's network."""
    return [stage.name for stage in network.stages if "activation" in stage.order][-1]


@contextmanager
def hidden_activations(network: AlexNet) -> Iterator[list[Tensor]]:
    """The activations of the last hidden stage, before its dropout, in every pass within the block: float32 (B, D)."""
    seen: list[Tensor] = []
    activation = network.stage(last_hidden(network.network)).operations["activation"]
    with activation.register_forward_hook(lambda *call: seen.append(call[2].flatten(1).float())):
        yield seen


def read_images(store: Store, rows: Sequence[int]) -> NDArray[np.uint8]:
    """Images of a store, uint8 (N, 256, 256, 3)."""
    return np.stack([store.pixels(row) for row in rows])


def check_compatible(recipe: Recipe, store: Store) -> None:
    """Raise UserError if the stored images have another side, or were resized by another rule, than the recipe's."""
    has, wants = store.manifest, recipe.augmentation
    if (has.side_px, has.resize) != (wants.stored_px, wants.resize):
        fields = f"--set augmentation.stored_px={has.side_px} --set augmentation.resize={has.resize}"
        raise UserError(
            f"{store.path} holds images of {has.side_px} px, {has.resize}; {recipe.name} wants {wants.stored_px} px, "
            f"{wants.resize}.",
            fix=f"Prepare them with: --side {wants.stored_px} --resize {wants.resize}; or take them with: {fields}.",
        )


def newest_checkpoint(run: Run) -> checkpoint.Checkpoint:
    """The newest checkpoint of a run. Raises UserError if there is none."""
    saved = checkpoint.newest(run.checkpoints)
    if saved is None:
        raise UserError(
            f"{run.folder} has no checkpoint.", fix="Train it first: alexrepro train.", exit_code=Exit.MISSING_INPUT
        )
    return saved


def load_network(run: Run, device: Device) -> tuple[AlexNet, int]:
    """The network of a run's newest checkpoint and its step. Raises UserError if there is no checkpoint."""
    saved = newest_checkpoint(run)
    model = AlexNet(run.recipe.network)
    model.load(saved.weights)
    return model.to(device.torch_device, memory_format=torch.channels_last), saved.step  # type: ignore[call-overload]


def load_model(run: Run, store: Store, device: Device) -> tuple[Model, int]:
    """A run's newest checkpoint with its outputs matched to the store's classes by their WNIDs, and its step."""
    check_compatible(run.recipe, store)
    order = order_of(store, run.environment["classes"], path=run.folder, device=device)
    network, step = load_network(run, device)
    return Model(network, run.recipe, load_pixels(run, device), order=order), step


def order_of(store: Store, outputs: Iterable[str], *, path: Path, device: Device) -> Tensor | None:
    """The output for each class of a store by WNIDs, (K,); None if in order. Raises UserError if the classes differ."""
    wanted, outputs = list(store.manifest.classes), list(outputs)
    if sorted(wanted) != sorted(outputs):
        raise UserError(
            f"{store.path} has {len(wanted)} classes that are not the {len(outputs)} of {path}.",
            fix="Choose a store of the same data set with --store, or another run.",
        )
    index = {name: number for number, name in enumerate(outputs)}
    return torch.tensor([index[name] for name in wanted], device=device.torch_device) if wanted != outputs else None


def pixels_of(store: Store) -> Pixels:
    """Mean image and color axes of a training store."""
    axes = store.color_axes()
    values, vectors = (torch.tensor(found, dtype=torch.float32) for found in (axes.eigenvalues, axes.eigenvectors))
    return Pixels(torch.from_numpy(store.mean_image()), values, vectors)


def save_pixels(run: Run, store: Store) -> Pixels:
    """Keep the training store's mean image and color axes with the run, since evaluation needs them."""
    pixels = pixels_of(store)
    write_bytes(run.pixels_file, save({name: tensor.contiguous() for name, tensor in vars(pixels).items()}))
    return pixels


def load_pixels(run: Run, device: Device) -> Pixels:
    """The mean image and color axes of a run's training. Raises UserError if missing or damaged."""
    try:
        return Pixels(**load_file(run.pixels_file)).to(device.torch_device)
    except (FileNotFoundError, SafetensorError, TypeError):
        raise UserError(
            f"{run.pixels_file} is missing or damaged: it holds the mean image and color axes that {run.folder} needs.",
            fix="Bring back a copy of it: other runs on the same training store have the same file.",
            exit_code=Exit.BAD_DATA,
        ) from None
