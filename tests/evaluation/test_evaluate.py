"""Testing: exact counts, the average of softmax outputs, every image once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from alexrepro.data.loading.crops import center_crop, ten_crops
from alexrepro.data.loading.sampling import testing_plan
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import UserError
from alexrepro.evaluation import inference
from alexrepro.evaluation.evaluate import candidate_of, evaluate, load_network
from alexrepro.evaluation.metrics import answers
from alexrepro.files import write_json
from alexrepro.model.alexnet import AlexNet
from alexrepro.model.normalization import ResponseNorm
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.evaluation import Evaluation, Findings
from alexrepro.runs.predictions import Predictions, read_predictions
from alexrepro.runs.run import Run, find_evaluations
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train


@pytest.fixture(scope="module")
def run(stores: dict[str, Store], recipe: Recipe, device: Device, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs")
    return train(
        TrainingJob(recipe, store=stores["train"], validation=stores["val"], runs=folder, seed=0, device=device)
    )


def probabilities_one_image_at_a_time(run: Run, store: Store, device: Device, crops: str) -> np.ndarray:
    model, _ = load_network(run, device)
    mean = torch.from_numpy(store_mean(run))
    rows = []
    for i in range(len(store)):
        whole = np.empty((256, 256, 3), dtype=np.uint8)
        store.pixels(i, whole)
        image = torch.from_numpy(whole).permute(2, 0, 1).float() - mean  # the toy recipe aligns the mean
        shown = ten_crops(image[None], 224)[0] if crops == "ten" else center_crop(image, 224)[None]
        with torch.no_grad():
            rows.append(model(shown).double().softmax(1).mean(0).numpy())
    return np.stack(rows)


def store_mean(run: Run) -> np.ndarray:
    from safetensors.numpy import load_file

    return load_file(run.pixels_file)["mean_image"]


@pytest.mark.parametrize("crops", ["center", "ten"])
def test_counts_and_loss_equal_a_plain_loop_over_images(
    run: Run, stores: dict[str, Store], device: Device, crops: str
) -> None:
    store = stores["test"]

    found = evaluate(run, store, crops=crops, device=device)  # type: ignore[arg-type]

    expected = probabilities_one_image_at_a_time(run, store, device, crops)
    true = expected[np.arange(len(store)), store.labels]
    assert found.images == len(store) == 18
    assert found.top1_correct == int((expected.argmax(1) == store.labels).sum())
    assert found.top5_correct == 18  # two classes only
    assert found.loss == pytest.approx(-np.log(true).mean(), rel=1e-5)  # float32 against float64


def test_ten_crops_count_the_center_crop_exactly_as_it_is_counted_alone(
    run: Run, stores: dict[str, Store], device: Device
) -> None:
    alone = evaluate(run, stores["test"], crops="center", device=device)

    evaluate(run, stores["test"], crops="ten", device=device)

    assert [e for e in run.evaluations if (e.split, e.crops) == (alone.split, "center")] == [alone]


def test_an_evaluation_says_what_it_was_made_of(run: Run, stores: dict[str, Store], device: Device) -> None:
    found = evaluate(run, stores["val"], crops="center", device=device)

    assert found.store == stores["val"].manifest.digest
    assert (found.ties, found.tied_images) == ("lower class first", 0)
    assert found.preprocessing is not None
    assert len(found.preprocessing) == 64


def test_an_evaluation_from_before_these_facts_is_read(run: Run, tmp_path: Path) -> None:
    fields = {
        "run": "r", "recipe": "tiny", "digest": "0a0fed", "seed": 0, "epochs": 1, "dataset": "d", "split": "d-test",
        "crops": "ten", "images": 10, "top1_correct": 4, "top5_correct": 7, "loss": 1.5,
    }  # fmt: skip
    write_json(tmp_path / "evaluations" / "d-test.ten.json", fields)

    (found,) = Findings(tmp_path).evaluations

    assert (found.top1_error, found.tied_images, found.store, found.members) == (0.6, None, None, ())
    assert found.run == str(tmp_path)  # where it lies now, not where it was made


def test_a_count_of_other_images_than_the_stores_is_an_error(
    run: Run, stores: dict[str, Store], device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "testing_plan", lambda images, side_px: testing_plan(images - 1, side_px=side_px))

    with pytest.raises(ValueError, match="not every image was tested once"):
        evaluate(run, stores["test"], crops="center", device=device)


def test_a_store_without_labels_is_refused(run: Run, stores: dict[str, Store], device: Device) -> None:
    store = Store(stores["test"].path, replace(stores["test"].manifest, labeled=False))

    with pytest.raises(UserError, match="has no labels") as refused:
        evaluate(run, store, crops="center", device=device)

    assert "--submission" in refused.value.fix


@pytest.mark.parametrize("batch", [1, 5, 17])
def test_the_batch_size_changes_no_answer(
    run: Run, stores: dict[str, Store], device: Device, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    def tested() -> tuple[Evaluation, Predictions]:
        found = evaluate(run, stores["test"], crops="ten", device=device)
        return found, read_predictions(Findings(run.folder).predictions(found.split, "ten"))

    whole, answers = tested()
    monkeypatch.setattr(inference, "BATCH", batch)
    split, same_answers = tested()

    assert replace(split, loss=whole.loss) == whole
    assert split.loss == pytest.approx(whole.loss, rel=1e-6)  # float32
    assert np.array_equal(same_answers.guesses, answers.guesses)
    assert np.array_equal(same_answers.ranks, answers.ranks)


def test_a_machine_that_compiles_tests_with_compiled_norms(run: Run, stores: dict[str, Store]) -> None:
    compiling = Device(torch.device("cpu"), compiles=True)

    candidate, _ = candidate_of(run, stores["test"], device=compiling)

    assert isinstance(candidate.model, AlexNet)
    assert [module.is_compiled for module in candidate.model.modules() if isinstance(module, ResponseNorm)] == [True]


def test_an_evaluation_is_found_again(run: Run, stores: dict[str, Store], device: Device) -> None:
    made = evaluate(run, stores["val"], crops="ten", device=device)

    assert made in find_evaluations(run.folder.parent.parent)


def test_ranks_count_the_classes_ahead_of_the_true_one() -> None:
    probabilities = torch.tensor([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.2, 0.3, 0.5]])

    assert answers(probabilities, torch.tensor([2, 0, 0])).ranks.tolist() == [1, 0, 2]


def test_a_network_that_says_the_same_of_every_class_earns_nothing() -> None:
    even = torch.full((1000, 1000), 0.001)
    labels = torch.arange(1000)

    rank = answers(even, labels).ranks

    assert int((rank < 1).sum()) == 1  # one class of a thousand is listed first
    assert int((rank < 5).sum()) == 5


def test_a_store_of_other_classes_is_refused(
    run: Run, stores: dict[str, Store], device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "environment", {**run.environment, "classes": ["spots", "plaid"]})

    with pytest.raises(UserError, match="not the 2"):
        evaluate(run, stores["test"], crops="center", device=device)
