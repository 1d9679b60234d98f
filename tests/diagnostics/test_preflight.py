"""The preflight reports what a training would meet, without changing anything."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from alexrepro.data.store.manifest import Shard, sha256_of
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.diagnostics import preflight, system_checks
from alexrepro.diagnostics.preflight import check_job, check_stores
from alexrepro.diagnostics.system_checks import Finding
from alexrepro.errors import Exit
from alexrepro.paper.training import Plateau
from alexrepro.recipes.catalog import TINY
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train

from ..data.store.folders import write_shard

MIDDLE = ("conv3", "conv4", "conv5")


@pytest.fixture
def job(stores: dict[str, Store], recipe: Recipe, device: Device, tmp_path: Path) -> TrainingJob:
    return TrainingJob(
        recipe, store=stores["train"], validation=stores["val"], runs=tmp_path / "runs", seed=0, device=device
    )


def found(job: TrainingJob, until: str) -> dict[str, Finding]:
    """The rows up to the named one."""
    rows = {}
    for finding in check_job(job):
        rows[finding.what] = finding
        if finding.what == until:
            break
    return rows


def test_a_training_that_will_run_is_ok_and_nothing_is_written(job: TrainingJob, tmp_path: Path) -> None:
    rows = found(job, "time")

    assert {what: row.verdict for what, row in rows.items() if what != "time"} == {
        "recipe": "ok", "memory": "ok", "disk": "ok", "activations": "ok"
    }  # fmt: skip
    assert "a rough estimate from one round of 16 images" in rows["time"].found
    assert rows["time"].facts["hours"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_that_does_not_fit_the_store_skips_the_other_checks(job: TrainingJob) -> None:
    smaller = job.recipe.but({"augmentation.stored_px": 224, "augmentation.last_offset_px": 0})

    (row,) = found(replace(job, recipe=smaller), "time").values()

    assert (row.what, row.verdict, row.exit_code) == ("recipe", "error", Exit.BAD_CONFIG)
    assert "wants 224 px" in row.found


def test_a_batch_that_the_store_does_not_fill_is_a_warning(job: TrainingJob) -> None:
    row = found(replace(job, recipe=job.recipe.but({"training.batch": 64})), "recipe")["recipe"]

    assert (row.verdict, row.advice) == ("warning", "Give at most --set training.batch=40.")


def test_a_plateau_without_validation_is_a_warning(job: TrainingJob) -> None:
    plateau = job.recipe.but({"training.schedule": Plateau()})

    assert found(replace(job, recipe=plateau), "recipe")["recipe"].verdict == "ok"
    assert found(replace(job, recipe=plateau, validation=None), "recipe")["recipe"].verdict == "warning"


def many_images(store: Store, folder: Path, count: int) -> Store:
    """A store of the first image of another, so many times."""
    image = store._read(0, 0)[0]
    folder.mkdir()
    write_shard(folder / "shard-00000.arrow", [image] * count, [0] * count, ["0"] * count)
    labels = sha256_of(np.zeros(count, dtype="<i8").tobytes())
    shards = (Shard("shard-00000.arrow", count, "0" * 64),)
    manifest = replace(store.manifest, images=count, shards=shards, labels_sha256=labels)
    (folder / "manifest.json").write_text(manifest.text(), encoding="utf-8")
    return Store.open(folder)


@contextmanager
def most_shared_memory() -> Iterator[list[int]]:
    """The most bytes of shared memory that this program had more than before, as one number, once it has ended."""
    status, ended, found = Path("/proc/self/status"), Event(), [0]

    def now() -> int:
        return 1024 * int(status.read_text(encoding="ascii").partition("RssShmem:")[2].split()[0])

    before = now()

    def watch() -> None:
        while not ended.wait(0.002):
            found[0] = max(found[0], now() - before)

    thread = Thread(target=watch)
    thread.start()
    yield found
    ended.set()
    thread.join()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of this program below /proc")
def test_the_memory_for_batches_is_what_a_training_with_validation_takes(
    job: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)  # one worker a feed
    validation = many_images(job.store, tmp_path / "many", 900)
    cases = {"with": replace(job, validation=validation), "without": replace(job, validation=None)}
    needed, taken = {}, {}
    for name, each in cases.items():
        needed[name] = found(each, "memory")["memory"].facts["need_bytes"]
        with most_shared_memory() as most:
            train(replace(each, recipe=each.recipe.shortened(1), runs=tmp_path / name))
        taken[name] = most[0]

    # Seven batches of 128 images of 256 px; the pages of the workers' rows and of a torn batch are not counted.
    assert taken["with"] - taken["without"] == pytest.approx(7 * 128 * 3 * 256**2, rel=0.02)
    assert needed["with"] - needed["without"] == pytest.approx(taken["with"] - taken["without"], rel=0.02)


def test_a_disk_without_room_is_wrong_before_the_first_update(
    job: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))  # type: ignore[attr-defined]

    row = found(job, "disk")["disk"]

    assert (row.verdict, row.exit_code) == ("error", Exit.IO_ERROR)
    assert "0 MB free" in row.found


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "ok"),
        ({f"network.{name}.weight_std": TINY.fields()[f"network.{name}.weight_std"] / 3 for name in MIDDLE}, "warning"),
        (
            {f"network.{name}.weight_std": TINY.fields()[f"network.{name}.weight_std"] / 3 for name in MIDDLE}
            | {"network.input_std": (60.0, 60.0, 60.0)},
            "error",
        ),
    ],
    ids=["as it is", "small weights", "small weights and standardized pixels"],
)
def test_activations_have_the_verdict_of_the_training(
    changes: dict[str, object], verdict: str, job: TrainingJob
) -> None:
    row = found(replace(job, recipe=TINY.but(changes)), "activations")["activations"]

    assert row.verdict == verdict
    assert row.exit_code == (Exit.BAD_CONFIG if verdict == "error" else Exit.OK)
    assert bool(row.advice) == (verdict != "ok")
    assert "the activations of fc7" in row.found


@pytest.mark.parametrize(
    ("paces", "long_hours", "advice"),
    [((20.0, 10.0), 144, ""), ((20.0, 10.0), 0.003, "Train on a GPU"), ((5.0, 10.0), 144, "The loader is slower")],
)
def test_a_training_of_weeks_or_a_slow_loader_is_a_warning(
    paces: tuple[float, float], long_hours: float, advice: str, job: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {part: [pace] for part, pace in zip(("loader", "step"), paces, strict=True)}
    monkeypatch.setattr(preflight, "bench", lambda *_, **__: rates)
    monkeypatch.setattr(preflight, "LONG_HOURS", long_hours)

    row = found(job, "time")["time"]

    assert row.advice.startswith(advice)
    assert row.verdict == ("warning" if advice else "ok")
    assert row.facts["hours"] == pytest.approx(3 * 40 / min(paces) / 3600)  # 3 epochs of 40 images


@pytest.fixture
def copy(stores: dict[str, Store], tmp_path: Path) -> Path:
    return Path(shutil.copytree(stores["train"].path, tmp_path / stores["train"].path.name))


def test_a_sound_store_is_ok(copy: Path) -> None:
    (row,) = check_stores([copy])

    assert (row.verdict, row.exit_code) == ("ok", Exit.OK)
    assert "40 images" in row.found


@pytest.mark.parametrize("name", ["shard-00000.arrow", "mean.npy", "color_axes.json", "manifest.json"])
def test_a_file_that_is_cut_or_missing_is_an_error(name: str, copy: Path) -> None:
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(whole[: len(whole) // 2])
    (cut,) = check_stores([copy])
    (copy / name).unlink()
    (missing,) = check_stores([copy])

    assert (cut.verdict, cut.exit_code) == ("error", Exit.BAD_DATA)
    assert (missing.verdict, missing.exit_code) == ("error", Exit.BAD_DATA)
    assert name in cut.found
    assert name in missing.found


def test_a_machine_is_described_whatever_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_device", lambda device, compiles: Device(system_checks.torch.device("cpu")))

    findings, device = preflight.check_machine("cpu")

    assert device is not None
    assert [finding.what for finding in findings] == [
        "program", "Python", "torch", "torchvision", "Pillow", "GPUs", "compiler", "CPU cores",
    ]  # fmt: skip
    assert {finding.what: finding.verdict for finding in findings}["compiler"] == "warning"


def test_a_device_that_is_not_there_is_wrong() -> None:
    findings, device = preflight.check_machine("cuda:99")

    assert device is None
    assert (findings[-1].what, findings[-1].verdict, findings[-1].exit_code) == ("device", "error", Exit.NO_DEVICE)
