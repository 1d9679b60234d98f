"""Evaluation of one run: exact counts, the average of softmax outputs, every image once, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alexrepro.data.loading.crops import cut, windows
from alexrepro.data.loading.sampling import evaluation_plan
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import UserError
from alexrepro.evaluation import inference
from alexrepro.evaluation.evaluate import evaluate
from alexrepro.evaluation.inference import load_network, load_pixels, read_images
from alexrepro.paper.results import Crops
from alexrepro.runs.run import Run, find_evaluations

from ..toy import Train


@torch.no_grad()
def probabilities_one_image_at_a_time(run: Run, store: Store, device: Device, crops: Crops) -> np.ndarray:
    model, _ = load_network(run, device)
    mean = load_pixels(run, device).mean_image
    rows = []
    for pixels in read_images(store, range(len(store))):
        image = torch.from_numpy(pixels).permute(2, 0, 1).float() - mean  # the toy recipe aligns the mean
        inputs = torch.stack([cut(image, window, 224) for window in windows(crops, 256, 256, 224)])
        rows.append(model(inputs).double().softmax(1).mean(0).numpy())
    return np.stack(rows)


@pytest.mark.parametrize("crops", ["center", "ten"])
def test_counts_and_loss_equal_a_plain_loop_over_images(
    run: Run, stores: dict[str, Store], device: Device, crops: Crops
) -> None:
    store = stores["test"]

    found = evaluate(run, store, crops=crops, device=device)

    expected = probabilities_one_image_at_a_time(run, store, device, crops)
    true = expected[np.arange(len(store)), store.labels]
    assert found.images == len(store) == 18
    assert found.top1_correct == int((expected.argmax(1) == store.labels).sum())
    assert found.top5_correct == 18  # two classes only
    assert found.loss == pytest.approx(-np.log(true).mean(), rel=1e-5)  # float32 against float64


def test_ten_crops_save_the_center_crop_as_it_is_alone(run: Run, stores: dict[str, Store], device: Device) -> None:
    alone = evaluate(run, stores["val"], crops="center", device=device)

    ten = evaluate(run, stores["val"], crops="ten", device=device)

    found = find_evaluations(run.folder.parent.parent)
    assert [e for e in found if (e.run, e.split) == (ten.run, ten.split)] == [alone, ten]
    assert (ten.store, ten.ties, ten.tied_images) == (stores["val"].manifest.digest, "lower class first", 0)


def test_a_missing_image_is_an_error(
    run: Run, stores: dict[str, Store], device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "evaluation_plan", lambda images: evaluation_plan(images - 1))

    with pytest.raises(ValueError, match="not every image was evaluated once"):
        evaluate(run, stores["test"], crops="center", device=device)


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"labeled": False}, "has no labels"), ({"classes": ("spots", "plaid")}, "2 classes that are not the 2")],
)
def test_a_store_without_labels_or_of_other_classes_is_refused(
    run: Run, stores: dict[str, Store], device: Device, changes: dict[str, Any], what: str
) -> None:
    other = Store(stores["test"].path, replace(stores["test"].manifest, **changes))

    with pytest.raises(UserError, match=what):
        evaluate(run, other, crops="center", device=device)


@pytest.mark.parametrize("changes", [{"side_px": 64}, {"resize": "stretch"}])
@pytest.mark.parametrize("split", ["train", "val"])
def test_a_training_refuses_images_of_another_side_or_resize_before_its_first_step(
    toy: Train, stores: dict[str, Store], tmp_path: Path, split: str, changes: dict[str, Any]
) -> None:
    other = Store(stores[split].path, replace(stores[split].manifest, **changes))

    with pytest.raises(UserError, match=r"of \d+ px, \w+; toy wants 256 px, crop") as refused:
        toy(tmp_path, **{"store" if split == "train" else "validation": other})

    assert "--side" in refused.value.fix
    assert list(tmp_path.iterdir()) == []
