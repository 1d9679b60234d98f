"""Evaluation of one run: exact counts, the average of softmax outputs, every image once, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from alexrepro.data.loading.crops import center_crop, ten_crops
from alexrepro.data.loading.sampling import EpochPlan, evaluation_plan
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import UserError
from alexrepro.evaluation import inference
from alexrepro.evaluation.evaluate import evaluate, open_runs
from alexrepro.evaluation.inference import read_images
from alexrepro.evaluation.load_run import check_compatible, load_network, load_pixels
from alexrepro.model.alexnet import AlexNet
from alexrepro.model.normalization import ResponseNorm
from alexrepro.paper.results import Crops
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.evaluation import EvaluationFiles
from alexrepro.runs.predictions import read_predictions
from alexrepro.runs.run import Run, find_evaluations
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train


@torch.no_grad()
def probabilities_one_image_at_a_time(run: Run, store: Store, device: Device, crops: str) -> np.ndarray:
    model, _ = load_network(run, device)
    mean = load_pixels(run, device).mean_image
    rows = []
    for pixels in read_images(store, range(len(store))):
        image = torch.from_numpy(pixels).permute(2, 0, 1).float() - mean  # the toy recipe aligns the mean
        inputs = ten_crops(image[None], 224)[0] if crops == "ten" else center_crop(image, 224)[None]
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
    def one_less(images: int, side_px: int) -> EpochPlan:
        return evaluation_plan(images - 1, side_px=side_px)

    monkeypatch.setattr(inference, "evaluation_plan", one_less)

    with pytest.raises(ValueError, match="not every image was evaluated once"):
        evaluate(run, stores["test"], crops="center", device=device)


@pytest.mark.parametrize("batch", [1, 5, 17])
def test_the_batch_size_changes_no_prediction(
    run: Run, stores: dict[str, Store], device: Device, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    file = EvaluationFiles(run.folder).predictions(stores["test"].manifest.full_name, "ten")
    whole, predictions = evaluate(run, stores["test"], crops="ten", device=device), read_predictions(file)
    monkeypatch.setattr(inference, "BATCH", batch)

    split, same = evaluate(run, stores["test"], crops="ten", device=device), read_predictions(file)

    assert replace(split, loss=whole.loss) == whole
    assert split.loss == pytest.approx(whole.loss, rel=1e-6)  # float32
    assert np.array_equal(same.top5, predictions.top5)
    assert np.array_equal(same.ranks, predictions.ranks)


def test_a_machine_that_compiles_evaluates_with_compiled_norms(run: Run, stores: dict[str, Store]) -> None:
    compiling = Device(torch.device("cpu"), compiles=True)

    opened = open_runs([run], stores["test"], crops="center", device=compiling, folder=run.folder)

    (model,) = opened.job.models
    assert isinstance(model.network, AlexNet)
    assert [module.is_compiled for module in model.network.modules() if isinstance(module, ResponseNorm)] == [True]


def test_a_store_without_labels_or_of_other_classes_is_refused(
    run: Run, stores: dict[str, Store], device: Device
) -> None:
    manifest = stores["test"].manifest
    unlabeled = Store(stores["test"].path, replace(manifest, labeled=False))
    other = Store(stores["test"].path, replace(manifest, classes=("spots", "plaid")))

    with pytest.raises(UserError, match="has no labels") as refused:
        evaluate(run, unlabeled, crops="center", device=device)
    with pytest.raises(UserError, match="2 classes that are not the 2"):
        evaluate(run, other, crops="center", device=device)

    assert "alexrepro submit" in refused.value.fix


SMALLER = {"augmentation.stored_px": 224, "network.input_px": 192, "augmentation.last_offset_px": 32}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"augmentation.resize": "stretch"}, "of 256 px, crop; toy wants 256 px, stretch"),
        (SMALLER, "toy wants 224 px, crop"),
    ],
)
def test_images_of_another_side_or_resize_are_refused(
    changes: dict[str, object], what: str, recipe: Recipe, stores: dict[str, Store]
) -> None:
    check_compatible(recipe, stores["train"])

    with pytest.raises(UserError, match=what) as refused:
        check_compatible(recipe.but(changes), stores["train"])

    assert "--side" in refused.value.fix


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_training_refuses_images_of_another_side_before_its_first_step(
    recipe: Recipe, stores: dict[str, Store], device: Device, tmp_path: Path, split: str
) -> None:
    smaller = Store(stores[split].path, replace(stores[split].manifest, side_px=64))
    images = {**stores, split: smaller}

    with pytest.raises(UserError, match="of 64 px, crop; toy wants 256 px"):
        train(
            TrainingJob(recipe, store=images["train"], validation=images["val"], runs=tmp_path, seed=0, device=device)
        )

    assert list(tmp_path.iterdir()) == []
