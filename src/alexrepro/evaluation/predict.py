"""Prediction: the most probable classes of image files, from any weights that can be read.

Images are treated as in evaluation: resized as in §2, the center crop or ten, minus the mean, softmax outputs averaged.
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from alexrepro.data.loading.crops import Pixels
from alexrepro.data.store.decode import decode
from alexrepro.data.store.resize import resize
from alexrepro.data.store.store import Store, find_stores
from alexrepro.device import Device, find_device
from alexrepro.errors import Exit, Unreadable, UserError
from alexrepro.evaluation.inference import Model, averages, load_pixels, newest_checkpoint
from alexrepro.evaluation.metrics import check_finite
from alexrepro.files import read_text, reading
from alexrepro.model import formats
from alexrepro.model.weights import Weights, checked
from alexrepro.paper.results import Crops
from alexrepro.paper.training import Augmentation
from alexrepro.runs import checkpoint
from alexrepro.runs.evaluation import TOP
from alexrepro.runs.paths import MODEL
from alexrepro.runs.run import Run, open_run

WNID = re.compile(r"n\d{8}\b")


@dataclass(frozen=True)
class ClassProbability:
    """A class with its probability, from 0 to 1; number: the output, counted from 0."""

    number: int
    name: str
    probability: float


def predict(weights: Weights, files: Sequence[Path], *, crops: Crops, device: Device) -> list[list[ClassProbability]]:
    """The five most probable classes of each image file, in descending order; of equals the lower number comes first.

    Raises UserError if a file is missing or unreadable, or if the mean image is not known.
    """
    model = model_of(weights, device)
    names, predictions = weights.classes or tuple(map(str, range(weights.recipe.network.classes))), []
    for file in files:
        image = _resized(file, weights.recipe.augmentation).to(device.torch_device)
        probabilities = averages(model, image, crops=(crops,), device=device)[crops]
        check_finite(probabilities)
        ordered = probabilities[0].sort(descending=True, stable=True)
        pairs = zip(ordered.indices[:TOP].tolist(), ordered.values[:TOP].tolist(), strict=True)
        predictions.append([ClassProbability(label, names[label], probability) for label, probability in pairs])
    return predictions


def rows_of(weights: Path, crops: Crops, file: Path, top5: Sequence[ClassProbability]) -> list[dict[str, object]]:
    """The rows of one image in a table of predictions, the most probable class first."""
    about = {"weights": str(weights), "crops": crops, "file": str(file)}
    return [{**about, "rank": rank, **asdict(top)} for rank, top in enumerate(top5, start=1)]


def model_of(weights: Weights, device: Device) -> Model:
    """The network with its mean image, for inference. Raises UserError if the mean image is not known."""
    pixels = Pixels(mean_image_of(weights), torch.zeros(3), torch.zeros(3, 3)).to(device.torch_device)
    return Model(weights.network().to(device.torch_device), weights.recipe, pixels)


def mean_image_of(weights: Weights) -> Tensor:
    """The mean image, float32 (3, 256, 256). Raises UserError if it is not known."""
    if weights.mean_image is None:
        raise UserError(
            "The mean image that these weights were trained with is not known.",
            fix="Give it at conversion: alexrepro convert FILE.caffemodel --mean MEAN --to FILE.safetensors.",
        )
    return weights.mean_image


def _resized(file: Path, augmentation: Augmentation) -> Tensor:
    """The image as the network's training images were stored: uint8 (1, 3, 256, 256)."""
    with reading(file, kind="image"):
        content = file.read_bytes()
    try:
        pixels, _ = decode(content)
    except Unreadable as error:
        raise UserError(
            f"{file} cannot be read: {error}.", fix="Save it again as JPEG or PNG.", exit_code=Exit.BAD_DATA
        ) from None
    stored = resize(pixels, augmentation.stored_px, augmentation.resize)
    return torch.from_numpy(stored).permute(2, 0, 1)[None]


def open_weights(path: Path, *, stores: Path, mean: Path | None = None) -> Weights:
    """The weights of a run (its newest checkpoint), of one of its checkpoints, or of a file in a known format.

    The classes of a run are named by a store of its data set under `stores` or where the training found it, or else by
    their WNIDs. Raises UserError if there are no weights at the path or they cannot be used.
    """
    with reading(path):
        path.stat()
    saved_at = path.absolute().parent if path.name == MODEL else path.absolute()
    if saved_at.parent == Run(saved_at.parent.parent).checkpoints:
        run, saved = open_run(saved_at.parent.parent), checkpoint.read(saved_at)
    elif path.is_dir():
        run = open_run(path)
        saved = newest_checkpoint(run)
    else:
        return formats.read(path, mean=mean)
    if mean is not None:
        raise UserError("A run keeps its own mean image.", fix="Leave --mean out.", exit_code=Exit.USAGE)
    classes = tuple(run.environment["classes"])
    mean_image = load_pixels(run, find_device("cpu")).mean_image
    return checked(Weights(run.recipe, saved.weights, mean_image, _names(run, classes, stores), classes), path)


def _names(run: Run, classes: tuple[str, ...], stores: Path) -> tuple[str, ...]:
    found = find_stores(stores)
    with suppress(UserError, OSError, KeyError):  # the store that it was trained from may be gone, or not be readable
        environment = run.environment
        found.append(Store.open(Path(environment["folders"]["train"], environment["stores"]["train"])))
    named = (store.manifest.class_names for store in found if store.manifest.classes == classes)
    return next(named, classes)


def with_names(weights: Weights, file: Path) -> Weights:
    """The weights with class names from a file: lines that begin with WNIDs in any order, or names in output order.

    JSON lists, and objects by number or by WNID, are read as such lines. Raises UserError if the file does not name
    every output.
    """
    with reading(file):
        lines = _lines(read_text(file))
    by_key = {re.split(r"[\s,;]", line.strip(), maxsplit=1)[0]: line.strip() for line in lines if line.strip()}
    are_wnids = bool(by_key) and all(map(WNID.match, by_key))
    if weights.wnids is not None and (are_wnids or set(weights.wnids) <= set(by_key)):
        missing = [wnid for wnid in weights.wnids if wnid not in by_key]
        if missing:
            raise UserError(
                f"{file} lacks {missing[0]}, one of {len(missing):,} of the {len(weights.wnids):,} classes.",
                fix="Write one line a class: its WNID and its name, or names alone in the order of the outputs.",
                exit_code=Exit.BAD_DATA,
            )
        return weights.named(tuple(by_key[wnid] for wnid in weights.wnids))
    if are_wnids and weights.classes is not None:  # an ImageNet network, whose outputs are in the order of the WNIDs
        return weights.named(tuple(by_key[wnid] for wnid in sorted(by_key)))
    return weights.named(tuple(lines))


def _lines(text: str) -> list[str]:
    """The lines of a text, or those that a JSON list or object stands for."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list | dict):
        return text.rstrip("\n").split("\n")
    if isinstance(found, dict) and all(map(str.isdecimal, found)):
        found = [found[number] for number in sorted(found, key=int)]
    pairs = found.items() if isinstance(found, dict) else (("", value) for value in found)
    words = ([key, *value] if isinstance(value, list) else [key, value] for key, value in pairs)
    return [" ".join(map(str, line)).strip() for line in words]
