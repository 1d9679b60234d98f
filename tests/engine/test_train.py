"""Training: the loss falls, a stop changes nothing, a run is never repeated or mixed up."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from alexrepro.data.store import Store
from alexrepro.engine import checkpoint, signals
from alexrepro.engine import train as training
from alexrepro.engine.machine import Machine
from alexrepro.engine.run import Run
from alexrepro.engine.train import train
from alexrepro.errors import Exit, Refusal
from alexrepro.recipes.recipe import Recipe

Train = Callable[..., Run]


@pytest.fixture
def toy(stores: dict[str, Store], recipe: Recipe, machine: Machine) -> Train:
    def run(folder: Path, *, chosen: Recipe = recipe, seed: int = 0, resume: str = "auto") -> Run:
        return train(
            chosen, store=stores["train"], validation=stores["val"], runs=folder, seed=seed, machine=machine,
            resume=resume,  # type: ignore[arg-type]
        )  # fmt: skip

    return run


def state_of(run: Run) -> dict[str, torch.Tensor]:
    saved = checkpoint.newest(run.checkpoints)
    assert saved is not None
    return {**{f"w {k}": v for k, v in saved.weights.items()}, **{f"v {k}": v for k, v in saved.velocities.items()}}


def without_pace(run: Run) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if name != "images_per_second"} for row in run.metrics]


def test_a_run_reports_what_it_did(toy: Train, tmp_path: Path) -> None:
    run = toy(tmp_path)

    result = run.result
    assert result is not None
    assert (result["steps"], result["epochs"]) == (9, 3)  # 40 images in batches of 16: 16 + 16 + 8
    assert [int(row["images"]) for row in run.metrics] == [16, 16, 8] * 3
    assert [float(row["rate"]) for row in run.metrics] == [1e-3] * 3 + [2e-4] * 6
    assert len(run.validations) == 3
    assert result["final"]["split"].endswith("-val")
    assert result["final"]["top1_error"] == float(run.validations[-1]["top1_error"])


def test_the_network_learns_to_tell_stripes_from_spots(toy: Train, recipe: Recipe, tmp_path: Path) -> None:
    longer = recipe.but({"training.epochs": 12, "training.schedule.kind": "plateau"})

    errors = [float(row["top1_error"]) for row in toy(tmp_path, chosen=longer).validations]

    assert max(errors[-3:]) < 0.2  # chance is 0.5


@pytest.mark.parametrize("stop_at", [1, 3, 4, 9], ids=lambda step: f"update {step}")
def test_a_stopped_run_continues_to_the_same_bits(
    toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    whole = toy(tmp_path / "whole")
    update, done = training._update, []

    def update_then_signal(*arguments: object) -> torch.Tensor:
        done.append(1)
        if len(done) == stop_at:
            signal.raise_signal(signal.SIGTERM)
        return update(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "_update", update_then_signal)
    interrupted = tmp_path / "interrupted"
    stopped: list[Exit] = []
    while not list(interrupted.rglob("result.json")):
        try:
            toy(interrupted)
        except Refusal as refusal:
            stopped.append(refusal.exit_code)

    continued = Run(interrupted / whole.folder.relative_to(tmp_path / "whole"))
    expected, found = state_of(whole), state_of(continued)
    assert set(expected) == set(found)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert without_pace(continued) == without_pace(whole)
    assert continued.validations == whole.validations
    assert stopped in ([], [Exit.STOPPED])  # a signal in the very last update finds nothing left to stop


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM], ids=lambda sent: sent.name)
def test_a_second_signal_ends_the_run_at_once(monkeypatch: pytest.MonkeyPatch, second: signal.Signals) -> None:
    monkeypatch.setattr(signals, "ECHO_SECONDS", 0.0)
    monkeypatch.setattr(signals, "ASKED", (signal.SIGINT, signal.SIGTERM))
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with signals.stop_requests() as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop() == signal.SIGINT
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(second)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_echo_of_a_signal_is_not_a_second_one() -> None:
    with signals.stop_requests() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

        assert stop() == signal.SIGTERM


def test_a_crash_after_a_checkpoint_loses_no_update_and_repeats_no_row(
    toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = toy(tmp_path / "whole")
    validate = training._validate

    def crash_in_epoch_two(trainer: object, epoch: int) -> None:
        if epoch == 2:
            raise OSError("power cut")
        validate(trainer, epoch)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "_validate", crash_in_epoch_two)
    with pytest.raises(OSError, match="power cut"):
        toy(tmp_path / "crashed")
    monkeypatch.setattr(training, "_validate", validate)
    continued = toy(tmp_path / "crashed")

    assert without_pace(continued) == without_pace(whole)
    assert all(torch.equal(a, b) for a, b in zip(state_of(whole).values(), state_of(continued).values(), strict=True))


def test_a_complete_run_is_not_trained_again(toy: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = toy(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*") if path.name != ".lock"}

    again = toy(tmp_path)

    assert "Nothing to train" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in again.folder.rglob("*") if path.name != ".lock"} == before


def test_starting_anew_keeps_the_earlier_run(toy: Train, tmp_path: Path) -> None:
    run = toy(tmp_path)
    before = run.metrics

    toy(tmp_path, resume="never")

    aside = [path for path in run.folder.parent.iterdir() if path.name.startswith("aside-")]
    assert len(aside) == 1
    assert Run(aside[0]).metrics == before


def test_another_store_is_refused_for_a_run_that_began(
    toy: Train, stores: dict[str, Store], recipe: Recipe, machine: Machine, tmp_path: Path
) -> None:
    toy(tmp_path)

    with pytest.raises(Refusal, match="was trained on"):
        train(recipe, store=stores["test"], validation=None, runs=tmp_path, seed=0, machine=machine)


def test_a_locked_run_is_refused_at_once(toy: Train, tmp_path: Path) -> None:
    run = toy(tmp_path)

    with run.lock(), pytest.raises(Refusal, match="Another process"):
        toy(tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run_and_saves_nothing_of_it(
    toy: Train, recipe: Recipe, tmp_path: Path
) -> None:
    diverging = recipe.but({"training.rate": 1e30})

    with pytest.raises(Refusal, match="The loss became") as refused:
        toy(tmp_path, chosen=diverging)

    assert refused.value.exit_code is Exit.BAD_DATA
    assert not list(tmp_path.rglob("step-*"))


def test_frozen_stages_stay_as_they_were(toy: Train, recipe: Recipe, tmp_path: Path) -> None:
    two = toy(tmp_path, chosen=recipe.but({"training.epochs": 2}))
    three = toy(tmp_path)

    weights = [state_of(run)["w conv1.weight"] for run in (two, three)]
    later = [state_of(run)["w fc3.weight"] for run in (two, three)]
    assert torch.equal(*weights)  # the third epoch's line freezes conv1
    assert not torch.equal(*later)
