"""Prediction: the most probable classes of image files, from any weights that can be read.

Images are treated as in evaluation: resized as in §2, the center crop or ten, minus the mean, softmax outputs averaged.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alexrepro.data.loading.crops import Pixels
from alexrepro.data.store.decode import decode
from alexrepro.data.store.resize import resize
from alexrepro.data.store.store import find_stores
from alexrepro.device import Device, find_device
from alexrepro.errors import Exit, Unreadable, UserError
from alexrepro.evaluation.inference import Model, averages, load_network, load_pixels
from alexrepro.files import read_text, reading
from alexrepro.model import formats
from alexrepro.model.weights import Weights, checked
from alexrepro.paper.results import Crops
from alexrepro.paper.training import Augmentation
from alexrepro.runs import checkpoint
from alexrepro.runs.evaluation import TOP
from alexrepro.runs.paths import MODEL
from alexrepro.runs.run import Run, open_run

RUN_ABOVE = 3  # run/checkpoints/step-000000000/model.safetensors
WNID = re.compile(r"n\d{8}\b")


@dataclass(frozen=True)
class ClassProbability:
    """A class with its probability, from 0 to 1; number: the output, counted from 0."""

    number: int
    name: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of an image file, in descending order."""

    file: Path
    top5: tuple[ClassProbability, ...]


def predict(weights: Weights, files: Sequence[Path], *, crops: Crops, device: Device) -> list[Prediction]:
    """The five most probable classes of each image file; of equals the lower number comes first.

    Raises UserError if a file is missing or unreadable, or if the mean image is not known.
    """
    if weights.mean_image is None:
        raise UserError(
            "The mean image that these weights were trained with is not known.",
            fix="Give it at conversion: alexrepro convert FILE.caffemodel --mean MEAN --to FILE.safetensors.",
        )
    pixels = Pixels(weights.mean_image, torch.zeros(3), torch.zeros(3, 3)).to(device.torch_device)
    model = Model(weights.network().to(device.torch_device), weights.recipe, pixels)
    names, predictions = weights.classes, []
    for file in files:
        image = _resized(file, weights.recipe.augmentation).to(device.torch_device)
        probabilities = averages(model, image, crops=(crops,), device=device)[crops]
        ordered = probabilities[0].sort(descending=True, stable=True)
        pairs = zip(ordered.indices[:TOP].tolist(), ordered.values[:TOP].tolist(), strict=True)
        top5 = (ClassProbability(label, names[label] if names else str(label), value) for label, value in pairs)
        predictions.append(Prediction(file, tuple(top5)))
    return predictions


def _resized(file: Path, augmentation: Augmentation) -> Tensor:
    """The image as the network's training images were stored: uint8 (1, 3, 256, 256)."""
    with reading(file, kind="image"):
        content = file.read_bytes()
    try:
        pixels = decode(content).pixels
    except Unreadable as error:
        raise UserError(
            f"{file} cannot be read: {error}.", fix="Save it again as JPEG or PNG.", exit_code=Exit.BAD_DATA
        ) from None
    stored = resize(pixels, augmentation.stored_px, augmentation.resize)
    return torch.from_numpy(stored).permute(2, 0, 1)[None]


def open_weights(path: Path, *, stores: Path, mean: Path | None = None) -> Weights:
    """The weights of a run (its newest checkpoint), of one of its checkpoints, or of a file in a known format.

    The classes of a run are named by a store of its data set under `stores`, or else by their WNIDs.
    Raises UserError if there are no weights at the path or they cannot be used.
    """
    with reading(path):
        path.stat()
    run = _run_around(path)
    if run is None:
        return formats.read(path, mean=mean)
    if mean is not None:
        raise UserError("A run keeps its own mean image.", fix="Leave --mean out.", exit_code=Exit.USAGE)
    classes = tuple(run.environment["classes"])
    named = [store.manifest.class_names for store in find_stores(stores) if store.manifest.classes == classes]
    mean_image = load_pixels(run, find_device("cpu")).mean_image
    return checked(Weights(run.recipe, _tensors(run, path), mean_image, named[0] if named else classes, classes), path)


def _run_around(path: Path) -> Run | None:
    """The run that a folder, or the weights file of a checkpoint, belongs to; None for any other file."""
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


def with_names(weights: Weights, file: Path) -> Weights:
    """The weights with class names from a file: lines that begin with WNIDs in any order, or names in output order.

    JSON lists, and objects by number or by WNID, are read as such lines. Raises UserError if the file does not name
    every output, or one of them twice.
    """
    with reading(file):
        lines = _lines(read_text(file), file)
    keys = [_key(line) for line in lines]
    are_wnids = bool(lines) and all(WNID.match(key) for key in keys if key)
    if weights.wnids is not None and (are_wnids or set(weights.wnids) <= set(keys)):
        found = _by_key(lines, file)
        missing = [wnid for wnid in weights.wnids if wnid not in found]
        if missing:
            raise _bad(file, f"it lacks {missing[0]}, one of {len(missing):,} of the {len(weights.wnids):,} classes")
        return weights.named(tuple(found[wnid] for wnid in weights.wnids))
    if are_wnids and weights.classes is not None:  # an ImageNet network, whose outputs are in the order of the WNIDs
        return weights.named(tuple(line for _, line in sorted(_by_key(lines, file).items())))
    if "" in keys:
        raise _bad(file, f"line {keys.index('') + 1} is empty, and names without WNIDs go by their line")
    return weights.named(tuple(lines))


def _key(line: str) -> str:
    """The beginning of a line, up to white space, comma or semicolon."""
    return re.split(r"[\s,;]", line.strip(), maxsplit=1)[0]


def _by_key(lines: Sequence[str], file: Path) -> dict[str, str]:
    """The lines by their beginning. Raises UserError if two lines begin alike and differ."""
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, lines)):
        if found.setdefault(_key(line), line) != line:
            raise _bad(file, f"it names {_key(line)} twice")
    return found


def _lines(text: str, file: Path) -> list[str]:
    """The lines of a text, or those that a JSON list or object stands for."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list | dict):
        return text.rstrip("\n").split("\n") if text.strip() else []
    if isinstance(found, dict) and all(key.isdecimal() and len(key) < 9 for key in found):
        by_number = {int(key): value for key, value in found.items()}
        if sorted(by_number) != list(range(len(by_number))):
            raise _bad(file, "its numbers do not count from 0 without a gap")
        found = [by_number[number] for number in range(len(by_number))]
    if isinstance(found, dict):
        return [f"{key} {_line(value)}" for key, value in found.items()]
    return [_line(value) for value in found]


def _line(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _bad(file: Path, why: str) -> UserError:
    return UserError(
        f"{file} cannot name the classes: {why}.",
        fix="Write one line a class: its WNID and its name, or names alone in the order of the outputs.",
        exit_code=Exit.BAD_DATA,
    )
