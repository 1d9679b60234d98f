"""A run that stops or loses a checkpoint continues to the same bits as if nothing had happened."""

import signal
import time
from datetime import datetime, timedelta, tzinfo
from itertools import count
from pathlib import Path

import pytest
import torch

from alexrepro.data.loading.sampling import of_some, training_plan
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.evaluate import evaluate
from alexrepro.evaluation.inference import load_network
from alexrepro.paper.training import Augmentation
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.paths import OPTIMIZER
from alexrepro.runs.run import Run, find_runs
from alexrepro.training import job, state
from alexrepro.training import train as training
from alexrepro.training.state import TrainingState

from ..data.hostile import command, tree
from ..toy import Train, assert_same, before_steps, power_cut, state_of


def stop() -> None:
    signal.raise_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def ten_steps(toy: Train, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Ten steps in two epochs, never stopped."""
    torch.set_num_threads(1)
    chosen = recipe.but({"training.batch": 8, "training.epochs": 2})
    return toy(tmp_path_factory.mktemp("whole"), chosen=chosen)


STOPS = {
    "before the first step": (0,), "before the last step of an epoch": (4,), "at the end of an epoch": (5,),
    "after the first step of an epoch": (6,), "in the last step": (10,), "twice in an epoch": (1, 2),
    "three times in an epoch": (6, 7, 9), "before and after the end of an epoch": (4, 5, 6),
}  # fmt: skip


@pytest.mark.parametrize("stops", STOPS.values(), ids=STOPS)
def test_a_stopped_run_continues_to_the_same_bits(
    toy: Train, ten_steps: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops: tuple[int, ...]
) -> None:
    start, starts = training.start, count()

    def start_then_stop(*arguments: object) -> TrainingState:
        started = start(*arguments)  # type: ignore[arg-type]
        if 0 in stops and next(starts) == 0:
            stop()
        return started

    monkeypatch.setattr(training, "start", start_then_stop)
    before_steps(monkeypatch, stops, stop)

    for _ in stops:
        with pytest.raises(UserError, match="Stopped by SIGTERM") as stopped:
            toy(tmp_path, chosen=ten_steps.recipe)
        assert stopped.value.exit_code is Exit.STOPPED
    assert_same(toy(tmp_path, chosen=ten_steps.recipe), ten_steps)


def test_a_run_whose_newest_checkpoint_is_damaged_goes_back_one_and_ends_in_the_same_bits(
    toy: Train, ten_steps: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before_steps(monkeypatch, [8], stop)
    with pytest.raises(UserError, match="Stopped by SIGTERM after step 8"):
        toy(tmp_path, chosen=ten_steps.recipe)
    (newest,) = tmp_path.rglob("step-000000008")
    content = bytearray((newest / OPTIMIZER).read_bytes())
    content[len(content) // 2] ^= 1
    (newest / OPTIMIZER).write_bytes(content)

    continued = toy(tmp_path, chosen=ten_steps.recipe)

    assert_same(continued, ten_steps)
    messages = capsys.readouterr().err
    assert "optimizer.safetensors does not have its checksum" in messages
    assert "3 steps are lost" in messages
    assert (newest.parent / "damaged-step-000000008").is_dir()


def test_another_seed_makes_another_run(toy: Train, whole: Run, tmp_path: Path) -> None:
    other = toy(tmp_path, seed=1)

    assert [name for name, value in state_of(whole).items() if torch.equal(value, state_of(other)[name])] == []
    assert not whole.metrics["loss"].equals(other.metrics["loss"])


def test_the_same_seed_makes_the_same_run_also_while_the_clock_jumps_back(
    toy: Train, whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jumps = count(start=10_000, step=-1)

    class Backwards(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime(2026, 11, 21, tzinfo=tz) + timedelta(hours=next(jumps))

    monkeypatch.setattr(job, "datetime", Backwards)
    monkeypatch.setattr(state, "datetime", Backwards)
    monkeypatch.setattr(time, "time", lambda: 3_600.0 * next(jumps))

    found = toy(tmp_path)

    assert_same(found, whole)
    assert (found.metrics["images_per_second"] > 0).all()


def test_the_command_changes_nothing_of_a_complete_run(
    stores: dict[str, Store], recipe: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "toy.toml").write_text(recipe.to_toml())
    train = ("train", tmp_path / "toy.toml", "--store", stores["train"].path, "--runs", tmp_path / "runs",
             "--device", "cpu", "--no-compile")  # fmt: skip
    first = command(*train, said=tmp_path / "said")
    (run,) = find_runs(tmp_path / "runs")
    lock = run.folder.with_name(f".{run.folder.name}.lock")
    before = tree(run.folder.parent, without=lock)

    again = command(*train, said=tmp_path / "said")

    assert (first.code, again.code) == (0, 0)
    assert sorted(path.name for path in run.checkpoints.iterdir()) == [f"step-{step:09d}" for step in (6, 9)]
    assert "Nothing to train" in again.said
    assert tree(run.folder.parent, without=lock) == before


def test_batch_normalization_continues_and_is_evaluated_with_its_running_statistics(
    toy: Train, recipe: Recipe, tmp_path: Path, device: Device, stores: dict[str, Store]
) -> None:
    chosen = recipe.but({"network.norm.kind": "batch"})
    with power_cut():
        toy(tmp_path / "cut", chosen=chosen)

    continued, whole = (toy(tmp_path / name, chosen=chosen) for name in ("cut", "whole"))

    assert_same(continued, whole)
    saved, (model, _) = state_of(whole), load_network(whole, device)
    assert torch.equal(saved["w conv1.running_var"], model.named_weights()["conv1.running_var"])
    assert (saved["w conv1.running_mean"] != 0).all()
    assert {name for name in saved if name.startswith("v conv1")} == {
        f"v conv1.{part}" for part in ("weight", "bias", "gain", "shift")
    }
    assert evaluate(whole, stores["val"], crops="center", device=device).top1_error == pytest.approx(
        whole.validations["top1_error"].iloc[-1], abs=1e-6
    )


def test_half_of_the_images_are_the_same_in_every_epoch_and_others_with_another_seed() -> None:
    def shown(images: int, *, seed: int = 0, epoch: int = 1) -> set[int]:
        plan = training_plan(
            images, seed=seed, epoch=epoch, augmentation=Augmentation(), side_px=224, shuffle_every_epoch=True
        )
        return set(of_some(plan, 100, seed=seed).whole().rows.tolist())

    assert shown(100) == set(range(100))
    assert len(shown(50)) == 50
    assert shown(50) == shown(50, epoch=2)
    assert shown(25) < shown(50)
    assert shown(50) != shown(50, seed=1)
