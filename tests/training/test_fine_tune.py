"""Fine-tuning: the named stages begin with an earlier run's weights, the others as ever."""

import hashlib
import shutil
from contextlib import chdir, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import UserError
from alexrepro.evaluation.load_run import load_network
from alexrepro.model.alexnet import build
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import checkpoint
from alexrepro.runs.run import Run
from alexrepro.training import train as training
from alexrepro.training.fine_tune import check_same_source, copy_stages
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train

KEPT = ("conv1", "fc2")


@pytest.fixture(scope="module")
def first(stores: dict[str, Store], recipe: Recipe, device: Device, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("first")
    return train(TrainingJob(recipe, store=stores["train"], validation=None, runs=folder, seed=0, device=device))


def tuned(recipe: Recipe) -> Recipe:
    return recipe.but({"training.init_from_stages": KEPT, "training.epochs": 1}, name="tuned")


def test_the_named_stages_begin_where_the_earlier_run_ended(first: Run, recipe: Recipe, device: Device) -> None:
    model, (ended, _) = build(recipe.network, seed=5), load_network(first, device)
    fresh = build(recipe.network, seed=5).named_kernels()

    copy_stages(model, first, KEPT)

    for name, parameter in model.named_kernels().items():
        source = ended.named_kernels() if name.partition(".")[0] in KEPT else fresh
        assert torch.equal(parameter, source[name]), name


def test_a_fine_tuned_run_notes_its_origin_and_keeps_to_it(
    first: Run, stores: dict[str, Store], recipe: Recipe, device: Device, tmp_path: Path
) -> None:
    def go(source: Run | None) -> Run:
        return train(
            TrainingJob(
                tuned(recipe),
                store=stores["train"],
                validation=None,
                runs=tmp_path,
                seed=1,
                device=device,
                source=source,
            )
        )

    run = go(first)
    random = train(
        TrainingJob(
            recipe.but({"training.epochs": 1}),
            store=stores["train"],
            validation=None,
            runs=tmp_path,
            seed=1,
            device=device,
        )
    )

    began = run.environment["began_with"]
    assert (began["run"], began["step"]) == (first.folder.as_posix(), 9)
    ended, other = (checkpoint.newest(r.checkpoints) for r in (run, random))
    assert ended is not None
    assert other is not None
    assert not torch.equal(ended.weights["conv1.weight"], other.weights["conv1.weight"])
    with pytest.raises(UserError, match="began with"):
        go(random)


def test_a_run_that_has_a_checkpoint_continues_though_its_source_is_gone(
    first: Run, stores: dict[str, Store], recipe: Recipe, device: Device, tmp_path: Path
) -> None:
    source = Run(tmp_path / "copy" / Path(*first.folder.parts[-2:]))
    shutil.copytree(first.folder, source.folder)
    longer = tuned(recipe).but({"training.epochs": 2})

    def go(chosen: Run | None) -> Run:
        return train(
            TrainingJob(
                longer,
                store=stores["train"],
                validation=None,
                runs=tmp_path / "runs",
                seed=1,
                device=device,
                source=chosen,
            )
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_train_epochs", lambda state, _: state.save() or stop())
        with pytest.raises(OSError, match="power cut"):
            go(source)
    shutil.rmtree(source.folder)

    with chdir(tmp_path):
        assert go(Run(source.folder.relative_to(tmp_path))).result is not None  # the same path, typed elsewhere
    assert go(None).result is not None


def stop() -> None:
    raise OSError("power cut")


def a_run(folder: Path, *, weights: bytes, step: int = 9) -> Run:
    """A folder with one checkpoint, of which only the weights are there."""
    model = folder / "checkpoints" / f"step-{step:09d}" / "model.safetensors"
    model.parent.mkdir(parents=True)
    model.write_bytes(weights)
    return Run(folder)


@pytest.mark.parametrize(
    ("named", "weights", "step", "is_same"),
    [
        ("moved/toy-abc/photos-seed-0", b"one", 9, True),  # by its weights, wherever it lies now
        ("runs/toy-abc/photos-seed-0", b"other", 9, False),
        ("runs/toy-abc/photos-seed-0", b"later", 18, True),  # trained on: the checkpoint it was taken from is gone
        ("runs/toy-abc/photos-seed-1", b"later", 18, False),
    ],
)
def test_a_source_is_known_by_its_weights_or_else_by_its_name(
    recipe: Recipe, tmp_path: Path, named: str, weights: bytes, step: int, *, is_same: bool
) -> None:
    began = {"run": "/gone/runs/toy-abc/photos-seed-0", "step": 9, "sha256": hashlib.sha256(b"one").hexdigest()}
    run = Run(tmp_path / "tuned" / "photos-seed-0")
    run.begin(recipe, {"began_with": began})
    source = a_run(tmp_path / named, weights=weights, step=step)

    refusal = (
        nullcontext() if is_same else pytest.raises(UserError, match="began with /gone/runs/toy-abc/photos-seed-0")
    )
    with refusal:
        check_same_source(run, source)


def test_a_run_that_does_not_fit_is_refused(
    first: Run, stores: dict[str, Store], recipe: Recipe, device: Device, tmp_path: Path
) -> None:
    wider = tuned(recipe).but({"network.fc2.maps": 20})
    cases = [
        (tuned(recipe), None, "begins with conv1, fc2 of an earlier run"),
        (recipe, first, "does not say which stages"),
        (wider, first, r"fc2.weight has the shape \(20"),
        (tuned(recipe), replace(first, folder=tmp_path), "is not a run"),
    ]

    for chosen, source, said in cases:
        with pytest.raises(UserError, match=said):
            train(
                TrainingJob(
                    chosen, store=stores["train"], validation=None, runs=tmp_path, seed=0, device=device, source=source
                )
            )
    with pytest.raises(UserError, match=r"name stages of the network \(conv1, fc2, fc3\), not 'conv9'"):
        recipe.but({"training.init_from_stages": ("conv9",)})
