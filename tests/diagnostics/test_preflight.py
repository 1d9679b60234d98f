"""The check-up says before the first update what a training would meet, and the guard's verdict of the first signal."""

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
from alexrepro.data.store.store import Store, shard_table, write_shard
from alexrepro.device import Device
from alexrepro.diagnostics import preflight, system_checks
from alexrepro.diagnostics.bench import Rate
from alexrepro.diagnostics.preflight import of_job, of_stores
from alexrepro.diagnostics.system_checks import Finding
from alexrepro.errors import Exit
from alexrepro.paper.training import Plateau
from alexrepro.recipes.as_printed_and_run import TINY
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train

MIDDLE = ("conv3", "conv4", "conv5")


@pytest.fixture
def case(stores: dict[str, Store], recipe: Recipe, device: Device, tmp_path: Path) -> TrainingJob:
    return TrainingJob(
        recipe, store=stores["train"], validation=stores["val"], runs=tmp_path / "runs", seed=0, device=device
    )


def found(case: TrainingJob, until: str) -> dict[str, Finding]:
    """The rows up to the named one."""
    rows = {}
    for finding in of_job(case):
        rows[finding.what] = finding
        if finding.what == until:
            break
    return rows


def test_a_training_that_will_run_is_fine_and_nothing_is_written(case: TrainingJob, tmp_path: Path) -> None:
    rows = found(case, "time")

    assert {what: row.verdict for what, row in rows.items() if what != "time"} == {
        "recipe": "fine", "memory": "fine", "disk": "fine", "open files": "fine", "first signal": "fine",
    }  # fmt: skip
    assert "a rough estimate from one round of 16 images" in rows["time"].found
    assert rows["time"].facts["hours"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_that_does_not_fit_the_store_ends_the_questions(case: TrainingJob) -> None:
    smaller = case.recipe.but({"augmentation.stored_px": 224, "augmentation.last_offset_px": 0})

    (row,) = found(replace(case, recipe=smaller), "time").values()

    assert (row.what, row.verdict, row.exit_code) == ("recipe", "wrong", Exit.BAD_CONFIG)
    assert "wants 224 px" in row.found


def test_a_batch_that_the_store_does_not_fill_is_to_be_looked_at(case: TrainingJob) -> None:
    row = found(replace(case, recipe=case.recipe.but({"training.batch": 64})), "recipe")["recipe"]

    assert (row.verdict, row.advice) == ("look", "Give at most --set training.batch=40.")


def test_a_plateau_without_validation_is_to_be_looked_at(case: TrainingJob) -> None:
    plateau = case.recipe.but({"training.schedule": Plateau()})

    assert found(replace(case, recipe=plateau), "recipe")["recipe"].verdict == "fine"
    assert found(replace(case, recipe=plateau, validation=None), "recipe")["recipe"].verdict == "look"


def many_images(store: Store, folder: Path, count: int) -> Store:
    """A store of the first image of another, so many times."""
    image = store._files.read(store._places(0), 0)
    folder.mkdir()
    write_shard(shard_table([image] * count, [0] * count, ["0"] * count), folder / "shard-00000.arrow")
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
    case: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)  # one worker a feed
    validation = many_images(case.store, tmp_path / "many", 900)
    cases = {"with": replace(case, validation=validation), "without": replace(case, validation=None)}
    needed, taken = {}, {}
    for name, each in cases.items():
        needed[name] = found(each, "memory")["memory"].facts["need_bytes"]
        with most_shared_memory() as most:
            train(
                TrainingJob(
                    each.recipe,
                    store=each.store,
                    validation=each.validation,
                    runs=tmp_path / name,
                    seed=0,
                    device=each.device,
                )
            )
        taken[name] = most[0]

    # Seven batches of 128 images of 256 px; the pages of the workers' rows and of a torn batch are not counted.
    assert taken["with"] - taken["without"] == pytest.approx(7 * 128 * 3 * 256**2, rel=0.02)
    assert needed["with"] - needed["without"] == pytest.approx(taken["with"] - taken["without"], rel=0.02)


def test_memory_grows_with_network_and_batch(case: TrainingJob) -> None:
    changes = ({"training.batch": 1}, {"training.batch": 16}, {"training.batch": 16, "network.fc2.maps": 4096})
    needs = [
        found(replace(case, recipe=case.recipe.but(change)), "memory")["memory"].facts["need_bytes"]
        for change in changes
    ]

    assert needs == sorted(set(needs))


def test_a_disk_without_room_is_wrong_before_the_first_update(
    case: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))  # type: ignore[attr-defined]

    row = found(case, "disk")["disk"]

    assert (row.verdict, row.exit_code) == ("wrong", Exit.IO_ERROR)
    assert "0 MB free" in row.found


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "fine"),
        ({f"network.{name}.weight_std": TINY.network.stage(name).weight_std / 3 for name in MIDDLE}, "look"),
        (
            {f"network.{name}.weight_std": TINY.network.stage(name).weight_std / 3 for name in MIDDLE}
            | {"network.input_std": (60.0, 60.0, 60.0)},
            "wrong",
        ),
    ],
    ids=["as it is", "small weights", "small weights and standardized pixels"],
)
def test_the_first_signal_has_the_verdict_of_the_guard(
    changes: dict[str, object], verdict: str, case: TrainingJob
) -> None:
    row = found(replace(case, recipe=TINY.but(changes)), "first signal")["first signal"]

    assert row.verdict == verdict
    assert row.exit_code == (Exit.BAD_CONFIG if verdict == "wrong" else Exit.OK)
    assert bool(row.advice) == (verdict != "fine")
    assert "fc7 answers" in row.found


def test_a_network_that_would_take_minutes_is_not_timed(case: TrainingJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "PATIENCE_FLOP", 0)

    row = found(case, "time")["time"]

    assert (row.verdict, row.found) == ("look", "not measured, since an update would take minutes")
    assert "alexrepro bench toy" in row.advice


@pytest.mark.parametrize(
    ("paces", "long_hours", "advice"),
    [((20.0, 10.0), 144, ""), ((20.0, 10.0), 0.003, "Train on a GPU"), ((5.0, 10.0), 144, "The loader is slower")],
)
def test_a_training_of_weeks_or_a_slow_loader_is_a_warning(
    paces: tuple[float, float], long_hours: float, advice: str, case: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = [Rate(part, pace, pace, pace) for part, pace in zip(("loader", "step"), paces, strict=True)]
    monkeypatch.setattr(preflight, "bench", lambda *_, **__: rates)
    monkeypatch.setattr(preflight, "LONG_HOURS", long_hours)

    row = found(case, "time")["time"]

    assert row.advice.startswith(advice)
    assert row.verdict == ("look" if advice else "fine")
    assert row.facts["hours"] == pytest.approx(3 * 40 / min(paces) / 3600)  # 3 epochs of 40 images


@pytest.fixture
def copy(stores: dict[str, Store], tmp_path: Path) -> Path:
    return Path(shutil.copytree(stores["train"].path, tmp_path / stores["train"].path.name))


@pytest.mark.parametrize("every_byte", [False, True])
def test_a_sound_store_is_fine(copy: Path, every_byte: bool) -> None:
    (row,) = of_stores([copy], every_byte=every_byte)

    assert (row.verdict, row.exit_code) == ("fine", Exit.OK)
    assert "40 images" in row.found
    assert ("every byte is as it was written" in row.found) is every_byte


@pytest.mark.parametrize("name", ["shard-00000.arrow", "mean.npy", "color_axes.json", "manifest.json"])
def test_a_file_that_is_cut_or_missing_is_found_at_a_glance(name: str, copy: Path) -> None:
    whole = (copy / name).read_bytes()
    (copy / name).write_bytes(whole[: len(whole) // 2])
    (cut,) = of_stores([copy], every_byte=False)
    (copy / name).unlink()
    (missing,) = of_stores([copy], every_byte=False)

    assert (cut.verdict, cut.exit_code) == ("wrong", Exit.BAD_DATA)
    assert (missing.verdict, missing.exit_code) == ("wrong", Exit.BAD_DATA)
    assert name in cut.found
    assert name in missing.found


def test_a_flipped_bit_in_an_image_is_found_by_the_whole_comparison(copy: Path) -> None:
    shard = copy / "shard-00000.arrow"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)

    (glance,) = of_stores([copy], every_byte=False)
    (whole,) = of_stores([copy], every_byte=True)

    assert (glance.verdict, whole.verdict) == ("fine", "wrong")


def test_a_machine_is_described_whatever_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_device", lambda device, compiles: Device(system_checks.torch.device("cpu")))

    findings, device = preflight.of_machine("cpu")

    assert device is not None
    assert [finding.what for finding in findings] == [
        "program", "Python", "torch", "torchvision", "Pillow", "GPUs", "compiler", "processors", "/dev/shm",
    ]  # fmt: skip
    assert {finding.what: finding.verdict for finding in findings}["compiler"] == "look"


def test_a_device_that_is_not_there_is_wrong() -> None:
    findings, device = preflight.of_machine("cuda:99")

    assert device is None
    assert (findings[-1].what, findings[-1].verdict, findings[-1].exit_code) == ("device", "wrong", Exit.NO_DEVICE)
