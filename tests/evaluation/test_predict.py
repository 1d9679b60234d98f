"""What a run predicts of a photograph, and that it predicts the same once it is converted."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.predict import Prediction, open_weights, predict
from alexrepro.model import formats
from alexrepro.model.alexnet import build
from alexrepro.model.weights import Weights
from alexrepro.paper.results import Crops
from alexrepro.recipes.as_printed_and_run import TINY
from alexrepro.runs.checkpoint import Checkpoint, save
from alexrepro.runs.run import run_of

CLASSES = tuple(f"n{number:08}" for number in range(20))


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide, so that it is cropped or squeezed; red on the left and blue on the right."""
    pixels = np.zeros((300, 600, 3), dtype=np.uint8)
    pixels[:, :300, 0] = pixels[:, 300:, 2] = 250
    path = tmp_path_factory.mktemp("photos") / "wide.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with two checkpoints and the mean image of its training store."""
    folder = run_of(tmp_path_factory.mktemp("runs"), TINY, dataset="shapes", seed=0)
    folder.begin(TINY, {"stores": {}, "classes": list(CLASSES)})
    for step in (1, 2):
        named = build(TINY.network, seed=step).named_kernels()
        save(folder.checkpoints, Checkpoint(step, named, named))
    pixels = {
        "mean_image": torch.full((3, 256, 256), 120.0),
        "eigenvalues": torch.ones(3),
        "eigenvectors": torch.eye(3),
    }
    save_file(pixels, folder.pixels_file)
    return folder.folder


def seen(weights: Weights, photograph: Path, *, device: Device, crops: Crops = "center") -> Prediction:
    (prediction,) = predict(weights, [photograph], crops=crops, device=device)
    return prediction


@pytest.mark.parametrize("crops", ["center", "ten"])
def test_a_converted_run_predicts_what_the_run_predicts(
    run: Path, photograph: Path, tmp_path: Path, device: Device, crops: Crops
) -> None:
    opened = open_weights(run, stores=tmp_path)
    formats.write(opened, tmp_path / "run.safetensors", lrn="op")
    converted = open_weights(tmp_path / "run.safetensors", stores=tmp_path)

    found = [seen(weights, photograph, device=device, crops=crops) for weights in (opened, converted)]

    assert found[0] == found[1]
    assert len({guess.probability for guess in found[0].guesses}) == 5  # the network is not indifferent


@pytest.mark.parametrize(
    "place", [".", "..", "checkpoints/step-000000002", "checkpoints/step-000000002/model.safetensors"]
)
def test_a_run_is_its_newest_checkpoint_and_its_classes_are_named(run: Path, tmp_path: Path, place: str) -> None:
    weights = open_weights(run / place, stores=tmp_path)

    assert torch.equal(weights.tensors["fc6.weight"], build(TINY.network, seed=2).named_kernels()["fc6.weight"])
    assert weights.classes == CLASSES


def test_an_earlier_checkpoint_can_be_named(run: Path, tmp_path: Path) -> None:
    weights = open_weights(run / "checkpoints" / "step-000000001", stores=tmp_path)

    assert torch.equal(weights.tensors["fc6.weight"], build(TINY.network, seed=1).named_kernels()["fc6.weight"])


def test_a_converted_run_still_has_the_wnids_of_its_classes(run: Path, tmp_path: Path) -> None:
    formats.write(open_weights(run, stores=tmp_path), tmp_path / "run.safetensors", lrn="op")

    assert open_weights(tmp_path / "run.safetensors", stores=tmp_path).wnids == CLASSES


def test_guesses_are_in_order_and_bear_the_names_of_their_classes(
    run: Path, photograph: Path, tmp_path: Path, device: Device
) -> None:
    guesses = seen(open_weights(run, stores=tmp_path), photograph, device=device).guesses

    assert [guess.name for guess in guesses] == [CLASSES[guess.number] for guess in guesses]
    assert [g.probability for g in guesses] == sorted((g.probability for g in guesses), reverse=True)


def test_equal_classes_come_in_their_order(run: Path, photograph: Path, tmp_path: Path, device: Device) -> None:
    opened = open_weights(run, stores=tmp_path)
    blank = Weights(opened.recipe, {n: torch.zeros_like(t) for n, t in opened.tensors.items()}, opened.mean_image)

    guesses = seen(blank, photograph, device=device).guesses

    assert [(guess.number, guess.name) for guess in guesses] == [(number, str(number)) for number in range(5)]


def test_a_warped_square_shows_the_ends_that_a_cropped_one_cuts_off(run: Path, tmp_path: Path, device: Device) -> None:
    opened = open_weights(run, stores=tmp_path)
    sharp = replace(opened, tensors={**opened.tensors, "fc8.weight": 100 * opened.tensors["fc8.weight"]})
    warping = replace(sharp, recipe=TINY.but({"augmentation.square": "warped"}))
    ends = Image.new("RGB", (768, 256), "gray")
    ends.paste("red", (0, 0, 256, 256))
    shown = {"ends": ends, "middle": ends.crop((256, 0, 512, 256)), "narrow": ends.resize((256, 256))}
    for name, image in shown.items():
        image.save(tmp_path / f"{name}.png")

    cropped, middle, warped, narrow = (
        seen(weights, tmp_path / f"{name}.png", device=device).guesses[0].probability
        for weights, name in ((sharp, "ends"), (sharp, "middle"), (warping, "ends"), (sharp, "narrow"))
    )

    assert cropped == middle
    assert warped == pytest.approx(narrow, abs=0.01)  # another resampler at the edge
    assert abs(warped - cropped) > 0.1


def test_names_must_be_as_many_as_outputs(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="3 names for 20 classes"):
        open_weights(run, stores=tmp_path).named(("a", "b", "c"))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("absent.jpg", Exit.MISSING_INPUT), ("*.jpg", Exit.MISSING_INPUT), ("-", Exit.MISSING_INPUT),
        ("folder", Exit.MISSING_INPUT), ("loop.jpg", Exit.MISSING_INPUT), ("x" * 300, Exit.MISSING_INPUT),
        ("zeros", Exit.MISSING_INPUT), ("text.jpg", Exit.BAD_DATA),
    ],
)  # fmt: skip
def test_a_file_that_is_no_image_is_named(run: Path, tmp_path: Path, device: Device, name: str, code: Exit) -> None:
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "zeros").symlink_to("/dev/zero")

    with pytest.raises(UserError, match=re.escape(name)) as caught:
        predict(open_weights(run, stores=tmp_path), [tmp_path / name], crops="center", device=device)

    assert caught.value.exit_code == code
