"""Predictions of a run for image files, the same after conversion, and class names from other people's tables."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.predict import open_weights, predict, with_names
from alexrepro.model import formats
from alexrepro.model.alexnet import build
from alexrepro.model.formats.torchvision import imagenet_names
from alexrepro.model.weights import Weights
from alexrepro.recipes.catalog import AS_RUN_2012, TINY
from alexrepro.runs.checkpoint import Checkpoint, save
from alexrepro.runs.run import run_of

CLASSES = tuple(f"n{number:08}" for number in range(20))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "gradient.png"
    Image.linear_gradient("L").resize((600, 300)).save(path)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with two checkpoints and the mean image of its training store."""
    folder = run_of(tmp_path_factory.mktemp("runs"), TINY, dataset="shapes", seed=0)
    folder.begin(TINY, {"stores": {}, "classes": list(CLASSES)})
    for step in (1, 2):
        named = build(TINY.network, seed=step).named_kernels()
        save(folder.checkpoints, Checkpoint(step, named, named))
    mean = torch.full((3, 256, 256), 120.0)
    save_file({"mean_image": mean, "eigenvalues": torch.ones(3), "eigenvectors": torch.eye(3)}, folder.pixels_file)
    return folder.folder


def test_a_converted_run_predicts_what_the_run_predicts(run: Path, image: Path, tmp_path: Path, device: Device) -> None:
    opened = open_weights(run, stores=tmp_path)
    formats.write(opened, tmp_path / "run.safetensors")
    converted = open_weights(tmp_path / "run.safetensors", stores=tmp_path)

    (found,), again = (predict(weights, [image], crops="ten", device=device) for weights in (opened, converted))

    assert again == [found]
    probabilities = [one.probability for one in found]
    assert probabilities == sorted(set(probabilities), reverse=True)  # descending, and not uniform
    assert [one.name for one in found] == [CLASSES[one.number] for one in found]
    assert converted.wnids == CLASSES


@pytest.mark.parametrize(
    ("below", "step"),
    [(".", 2), ("..", 2), ("checkpoints/step-000000002/model.safetensors", 2), ("checkpoints/step-000000001", 1)],
)
def test_weights_are_those_of_the_newest_or_the_named_checkpoint(
    run: Path, tmp_path: Path, below: str, step: int
) -> None:
    weights = open_weights(run / below, stores=tmp_path)

    assert torch.equal(weights.tensors["fc6.weight"], build(TINY.network, seed=step).named_kernels()["fc6.weight"])
    assert weights.classes == CLASSES


def test_equal_classes_come_in_their_order(run: Path, image: Path, tmp_path: Path, device: Device) -> None:
    opened = open_weights(run, stores=tmp_path)
    blank = Weights(opened.recipe, {n: torch.zeros_like(t) for n, t in opened.tensors.items()}, opened.mean_image)

    (top5,) = predict(blank, [image], crops="center", device=device)

    assert [(found.number, found.name) for found in top5] == [(number, str(number)) for number in range(5)]


def test_stretching_keeps_the_ends_that_cropping_cuts_off(run: Path, tmp_path: Path, device: Device) -> None:
    opened = open_weights(run, stores=tmp_path)
    crop = replace(opened, tensors={**opened.tensors, "fc8.weight": 100 * opened.tensors["fc8.weight"]})
    stretch = replace(crop, recipe=TINY.but({"augmentation.resize": "stretch"}))
    ends = Image.new("RGB", (768, 256), "gray")
    ends.paste("red", (0, 0, 256, 256))
    images = {"ends": ends, "middle": ends.crop((256, 0, 512, 256)), "narrow": ends.resize((256, 256))}
    for name, image in images.items():
        image.save(tmp_path / f"{name}.png")

    def probability(weights: Weights, name: str) -> float:
        return predict(weights, [tmp_path / f"{name}.png"], crops="center", device=device)[0][0].probability

    assert probability(crop, "ends") == probability(crop, "middle")
    assert probability(stretch, "ends") == pytest.approx(probability(crop, "narrow"), abs=0.01)  # another resampler
    assert abs(probability(crop, "narrow") - probability(crop, "ends")) > 0.1


NOT_IMAGES = dict.fromkeys(["absent.jpg", "-", "folder", "x" * 300], Exit.MISSING_INPUT)


@pytest.mark.parametrize(("name", "code"), [*NOT_IMAGES.items(), ("text.jpg", Exit.BAD_DATA)])
def test_a_file_that_is_not_an_image_is_named(run: Path, tmp_path: Path, device: Device, name: str, code: Exit) -> None:
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "folder").mkdir()

    with pytest.raises(UserError, match=name) as caught:
        predict(open_weights(run, stores=tmp_path), [tmp_path / name], crops="center", device=device)

    assert caught.value.exit_code == code


WNIDS = ("n01440764", "n01443537", "n01484850")
TABLE = "n01484850 great white shark\nn01440764 tench, Tinca tinca\nn01443537 goldfish\n"
IN_ORDER = ("n01440764 tench, Tinca tinca", "n01443537 goldfish", "n01484850 great white shark")
JSON = {"0": ["n01484850", "great_white_shark"], "1": ["n01440764", "tench"], "2": ["n01443537", "goldfish"]}
SHORT = ("n01440764 tench", "n01443537 goldfish", "n01484850 great_white_shark")
OF_A_RUN = Weights(TINY.for_classes(3), {}, classes=WNIDS, wnids=WNIDS)
OF_FOLDERS = replace(OF_A_RUN, classes=("cat", "cow", "dog"), wnids=("cat", "cow", "dog"))
IMAGENET = Weights(AS_RUN_2012, {}, classes=imagenet_names(1000))  # its outputs are in the order of the WNIDs
LINES = [f"n{number:08d} name {number}" for number in range(1000)]
TABLES: dict[str, tuple[Weights, str, Sequence[str]]] = {
    "blank lines, more classes, repeated": (OF_A_RUN, "n09999999 another\n\n" + TABLE + TABLE, IN_ORDER),
    "separators": (OF_A_RUN, "n01484850\tshark\nn01440764,tench\nn01443537;goldfish\n",
                   ("n01440764,tench", "n01443537;goldfish", "n01484850\tshark")),
    "JSON by number": (OF_A_RUN, json.dumps(JSON), SHORT),
    "JSON by WNID": (OF_A_RUN, json.dumps(dict(JSON.values())), SHORT),
    "JSON list": (OF_A_RUN, json.dumps([" ".join(name) for name in JSON.values()]), SHORT),
    "JSON without WNIDs": (OF_A_RUN, '{"2": "c", "0": "a", "1": "b"}', ("a", "b", "c")),
    "no WNIDs": (OF_A_RUN, "crane\ncrane\ntench\n", ("crane", "crane", "tench")),
    "folder names": (OF_FOLDERS, "dog Hund\ncat Katze\ncow Kuh\n", ("cat Katze", "cow Kuh", "dog Hund")),
    "ImageNet": (IMAGENET, "\n".join(reversed(LINES)), LINES),
}  # fmt: skip


@pytest.mark.parametrize(("weights", "content", "expected"), TABLES.values(), ids=TABLES)
def test_a_table_names_the_outputs_by_wnid_or_by_position(
    tmp_path: Path, weights: Weights, content: str, expected: Sequence[str]
) -> None:
    (tmp_path / "names.txt").write_text(content)

    assert with_names(weights, tmp_path / "names.txt").classes == tuple(expected)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("n00000001 a\nn00000002 b\nn00000003 c\n", "lacks n01440764, one of 3 of the 3 classes"),
        ("tench\ngoldfish\n", "2 names for 3 classes"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_the_reason(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "names.txt").write_text(content)

    with pytest.raises(UserError, match=reason):
        with_names(OF_A_RUN, tmp_path / "names.txt")
