"""Prediction: what a network with known weights sees in a photograph, from image file to the most probable classes.

The way is that of testing: the square of §2, the center crop or ten, minus the mean, softmax outputs averaged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from alexrepro.data.loading.crops import Pixels, evaluation_crops
from alexrepro.data.store.decode import decode
from alexrepro.data.store.resize import square
from alexrepro.data.store.store import find_stores
from alexrepro.device import Device, find_device
from alexrepro.errors import Exit, Unreadable, UserError
from alexrepro.evaluation.evaluate import load_network, load_pixels
from alexrepro.files import reading
from alexrepro.model import formats
from alexrepro.model.weights import Weights, checked
from alexrepro.paper.results import Crops
from alexrepro.paper.training import Augmentation
from alexrepro.runs import checkpoint
from alexrepro.runs.checkpoint import MODEL
from alexrepro.runs.run import Run, open_run

SHOWN = 5  # top-5, as in §2
RUN_ABOVE = 3  # run/checkpoints/step-000000000/model.safetensors


@dataclass(frozen=True)
class Guess:
    """One class with its probability, from 0 to 1; number is the output, counted from 0."""

    number: int
    name: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of one image file, the first one first."""

    file: Path
    guesses: tuple[Guess, ...]


def open_weights(path: Path, *, stores: Path, mean: Path | None = None) -> Weights:
    """The weights of a run (its newest checkpoint), of one of its checkpoints, or of any file that can be read.

    The classes of a run have the names that a store of its data set under `stores` gives them, or else its WNIDs.
    Raises UserError if there are no weights at the path or they cannot be used.
    """
    with reading(path):
        path.stat()
    run = _run_around(path)
    if run is None:
        return formats.read(path, mean=mean)
    if mean is not None:
        raise UserError("A run keeps its own mean image.", fix="Leave --mean out.", exit_code=Exit.USAGE)
    pixels = load_pixels(run, find_device("cpu"))
    names, wnids = _class_names(run, stores), tuple(run.environment["classes"])
    return checked(Weights(run.recipe, _tensors(run, path), pixels.mean_image, names, wnids), path)


@torch.no_grad()
def predict(weights: Weights, files: Sequence[Path], *, crops: Crops, device: Device) -> list[Prediction]:
    """The five most probable classes of each image file; among equals the lower number comes first.

    Raises UserError if a file is missing or unreadable, or if the mean image is not known.
    """
    if weights.mean_image is None:
        raise UserError(
            "The mean image that these weights were trained with is not known.",
            fix="Give it at conversion: alexrepro convert FILE.caffemodel --mean MEAN --to FILE.safetensors.",
        )
    recipe = weights.recipe
    pixels = Pixels(weights.mean_image, torch.zeros(3), torch.zeros(3, 3)).to(device.torch_device)
    model = weights.network().to(device.torch_device)
    predictions = []
    for file in files:
        image = _square(file, recipe.augmentation).to(device.torch_device)
        shown = evaluation_crops(
            image, crops=crops, side_px=recipe.network.input_px, pixels=pixels, augmentation=recipe.augmentation
        )
        with device.autocast(recipe.training):
            outputs = [model(crop).float().softmax(1)[0] for crop in shown]
        predictions.append(Prediction(file, _most_probable(torch.stack(outputs).mean(0), weights.classes)))
    return predictions


def _most_probable(probabilities: Tensor, names: Sequence[str] | None) -> tuple[Guess, ...]:
    ordered = probabilities.sort(descending=True, stable=True)
    pairs = zip(ordered.indices[:SHOWN].tolist(), ordered.values[:SHOWN].tolist(), strict=True)
    return tuple(Guess(number, names[number] if names else str(number), value) for number, value in pairs)


def _square(file: Path, augmentation: Augmentation) -> Tensor:
    """The photograph as the network's training images were stored: uint8 (1, 3, 256, 256)."""
    with reading(file, kind="image"):
        if file.is_char_device() or file.is_block_device():  # /dev/zero never ends
            raise UserError(f"{file} is a device, not an image.", fix="Name image files.", exit_code=Exit.MISSING_INPUT)
        content = file.read_bytes()
    try:
        pixels = decode(content).pixels
    except Unreadable as error:
        raise UserError(
            f"{file} cannot be read: {error}.", fix="Save it anew as JPEG or PNG.", exit_code=Exit.BAD_DATA
        ) from None
    stored = square(pixels, augmentation.stored_px, augmentation.square)
    return torch.from_numpy(stored).permute(2, 0, 1)[None]


def _run_around(path: Path) -> Run | None:
    """The run that a folder, or the file of weights in a checkpoint, belongs to; None for any other file."""
    if not path.is_dir() and path.name != MODEL:
        return None
    for folder in path.absolute().parents[:RUN_ABOVE]:
        if Run(folder).checkpoints in path.absolute().parents:
            return open_run(folder)
    return open_run(path) if path.is_dir() else None


def _tensors(run: Run, path: Path) -> Mapping[str, Tensor]:
    """The weights of one checkpoint, if the path names one, or else of the run's newest."""
    file = path / MODEL if path.is_dir() else path
    if file.is_file():
        return checkpoint.read(file.parent).weights
    model, _ = load_network(run, find_device("cpu"))
    return {name: parameter.detach() for name, parameter in model.named_kernels().items()}


def _class_names(run: Run, stores: Path) -> tuple[str, ...]:
    classes = tuple(run.environment["classes"])
    found = [store.manifest.class_names for store in find_stores(stores) if store.manifest.classes == classes]
    return found[0] if found else classes
