"""The command line on null devices: every path that a GPU takes, its launches, copies, synchronizations and memory."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alexrepro.data.store.planes import window_shape
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.data.store.store import Store
from alexrepro.device import RESERVED_BYTES, RESERVED_BYTES_PER_IMAGE
from alexrepro.paper.training import Script
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.run import open_run

from ..toy import recipe, stores, write_images  # noqa: F401 -- fixtures
from .null_gpu import Ended, Event, NullGpu, between_epochs, build, steps

IMAGE_BYTES = 256 * 256 * 3
Train = Callable[..., Ended]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("null-gpu"))


@pytest.fixture
def gpu(library: Path, tmp_path: Path) -> NullGpu:
    return NullGpu(library, tmp_path)


@pytest.fixture
def train(gpu: NullGpu, recipe: Recipe, stores: dict[str, Store]) -> Train:  # noqa: F811
    def run(*options: object, device: str = "cuda", change: dict[str, Any] | None = None, **named: Any) -> Ended:
        chosen = recipe.but({"training.schedule": Script(()), "training.batch": 8, **(change or {})})
        (gpu.folder / "toy.toml").write_text(chosen.to_toml())
        if not (gpu.folder / "store").exists():
            (gpu.folder / "store").symlink_to(stores["train"].path)
        where = () if "--gpus" in options else ("--device", device)
        return gpu.run("train", "toy.toml", "--store", stores["train"].path, *where, *options, **named)

    return run


def kinds(events: list[Event]) -> Counter[str]:
    return Counter(event.kind for event in events)


def last_steps(events: list[Event], number: int = 3) -> list[Event]:
    """The events of the last full steps of a training."""
    return [event for step in steps(events)[-1 - number : -1] for event in step]


def images_copied(parts: list[list[Event]]) -> list[int]:
    """How many stored images each step copies to the device, for the next one."""
    return [
        sum(event.bytes // IMAGE_BYTES for event in part if event.kind == "h2d" and event.bytes >= IMAGE_BYTES)
        for part in parts
    ]


def test_a_plain_training_never_waits_and_keeps_its_format(train: Train) -> None:
    ended = train("--no-compile", change={"training.precision": "bf16"})
    assert ended.code == 0, ended.err
    assert "Warning" not in ended.err
    found = last_steps(ended.events)
    assert kinds(found)["sync"] == 0
    copies = [event for event in found if event.kind == "h2d"]
    assert {event.name for event in copies} == {"pinned"}
    assert len(copies) == 3 * 2  # a step's labels and draws side by side, and the seeds of its masks
    of_norms = {event.name for event in found if "rsqrt" in event.name}
    assert [name for name in of_norms if "BFloat16" not in name] == []
    assert of_norms


def test_a_compiled_training_takes_one_launch_a_step(train: Train) -> None:
    ended = train("--compile", change={"training.epochs": 8})
    assert ended.code == 0, ended.err
    assert "Warning" not in ended.err
    assert "Not compiled" not in ended.err
    assert kinds(ended.events)["capture"] == 4  # begin and end, of the step and of the validation, once for all epochs
    found = kinds(last_steps(ended.events, 25))
    assert found["launch"] + found["graph"] <= 3 * 25
    assert found["h2d"] == 25 * 4 // 5  # labels and draws; those of the first batch of five come before the first step
    assert images_copied(steps(ended.events)) == [8, 8, 8, 8] + [0] * 36  # from the second epoch on the GPU has all
    assert found["d2d"] == 4 * 25  # crops, labels with draws, and seeds in; losses out
    assert found["sync"] == 0
    for between in between_epochs(ended.events)[
        1:
    ]:  # two for losses, one each for counts, finite weights and their copy
        assert kinds(between)["sync"] <= 5


def test_losses_are_read_a_window_late(train: Train) -> None:
    ended = train("--no-compile", "--epochs", "1", change={"training.batch": 1})
    assert ended.code == 0, ended.err
    waits = [event.name for event in last_steps(ended.events, 25) if event.kind == "sync"]
    assert waits == ["event"] * 2  # of windows that were complete when the next ones ended


@pytest.mark.parametrize("option", ["--compile", "--no-compile"])
def test_replicas_go_on_with_full_partial_and_empty_parts_of_a_batch(train: Train, option: str) -> None:
    ended = train("--gpus", "2", "--parallel", "data", option, devices=2, change={"training.batch": 13})
    assert ended.code == 0, ended.err  # 40 images are three batches of 13 and one of a single image
    assert [log[0].device for log in ended.logs] == [0, 1]
    assert all(event.device == log[0].device for log in ended.logs for event in log)


@pytest.mark.parametrize("option", ["--compile", "--no-compile"])
def test_two_towers_exchange_maps_and_halves_of_a_batch_by_nccl(train: Train, option: str) -> None:
    ended = train("--gpus", "2", option, devices=2)
    assert ended.code == 0, ended.err
    for log in ended.logs:  # of a batch of eight, the rank's own loader has decoded half
        assert images_copied(steps(log))[:4] == [4, 4, 4, 4]
        if option == "--compile":  # the exchanges are a part of the recorded step
            assert kinds(last_steps(log))["graph"] == 3
            assert [event.name for event in last_steps(log) if event.kind == "nccl"] == ["ncclAllGather"] * 3
            continue
        assert {"ncclAllGather", "ncclReduceScatter"} <= {
            event.name for event in last_steps(log) if event.kind == "nccl"
        }


def test_the_second_device_alone_is_used_where_it_is_named(train: Train) -> None:
    ended = train("--no-compile", device="cuda:1", devices=2)
    assert ended.code == 0, ended.err
    assert {event.device for event in ended.events if event.kind != "mark"} == {1}


def test_images_that_do_not_fit_beside_the_training_are_copied_in_every_epoch(train: Train) -> None:
    fits = RESERVED_BYTES + 8 * RESERVED_BYTES_PER_IMAGE + 12 * IMAGE_BYTES + IMAGE_BYTES // 2
    change = {"training.shuffle_every_epoch": False}
    ended = train("--no-compile", "--epochs", "3", change=change, NULL_GPU_BYTES=str(fits))
    assert ended.code == 0, ended.err
    found = images_copied(steps(ended.events))  # of five batches in each epoch, the first comes before the first step
    assert found == [8, 8, 8, 8, 0] + [4, 8, 8, 8, 0] * 2


def test_memory_that_cannot_be_pinned_is_named_with_its_price(train: Train) -> None:
    ended = train("--no-compile", NULL_GPU_NO_PINNING="1")
    assert ended.code == 0, ended.err
    assert "cannot be pinned" in ended.err


def test_a_compiler_that_fails_leaves_the_plain_path(train: Train, tmp_path: Path) -> None:
    caches = {name: str(tmp_path / name) for name in ("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")}
    ended = train("--compile", CC="/bin/false", **caches)
    assert ended.code == 0, ended.err
    assert "Not compiled, so slower" in ended.err


def test_a_stopped_training_continues_and_is_evaluated(train: Train, gpu: NullGpu, stores: dict[str, Store]) -> None:  # noqa: F811
    assert train("--no-compile", "--epochs", "2").code == 0
    run = next(gpu.folder.glob("runs/*/*-seed-*"))
    (run / "result.json").unlink()
    ended = train("--no-compile", "--epochs", "2")
    assert ended.code == 0, ended.err
    assert "Continuing" in ended.err
    evaluated = gpu.run("evaluate", run, "--ten-crop", "--store", stores["val"].path, "--device", "cuda")
    assert evaluated.code == 0, evaluated.err


def test_a_long_training_times_its_step_once_and_keeps_the_fastest_layout(train: Train, gpu: NullGpu) -> None:
    change = {"training.epochs": 500_000, "training.precision": "tf32"}
    change |= {"network.towers": 1, "network.norm": None}  # blocks are all there is to choose
    quickly = {"TORCHDYNAMO_DISABLE": "1"}  # what is recorded need not be compiled
    first, second = (train("--compile", change=change, NULL_GPU_STOP_AFTER="2", **quickly) for _ in range(2))
    assert (first.code, second.code) == (75, 75), first.err + second.err
    assert "measured: everything" in first.err
    assert "without blocks" in first.err
    assert "The steps of this training take tf32" in first.err
    assert "measured" not in second.err
    layout = open_run(next(gpu.folder.glob("runs/*/*-seed-*"))).environment["layout"]
    assert set(layout["layouts_ms"]) == {"everything", "without blocks"}
    assert set(layout["precisions_ms"]) == {"tf32", "bf16"}
    chosen = "everything" if layout["blocks"] else "without blocks"
    assert layout["layouts_ms"][chosen] == min(layout["layouts_ms"].values())
    assert kinds(second.events)["capture"] == 2  # begin and end of the only recording


def test_planes_become_pixels_on_the_device(train: Train, gpu: NullGpu, tmp_path: Path) -> None:
    write_images(tmp_path / "images", {"train": 8, "val": 4})
    planes = prepare(tmp_path / "images", out=tmp_path / "stores", workers=1, options=Options(encoding="planes"))
    ended = train("--compile", "--store", planes["train"].path)
    assert ended.code == 0, ended.err
    assert "Not " not in ended.err  # compiled or recorded
    copied = {event.bytes for event in last_steps(ended.events) if event.kind == "h2d"}
    rows, columns = window_shape(224)
    assert max(copied) == 8 * rows * columns  # half of the crops' pixels
    run = next(gpu.folder.glob("runs/*/*/metrics.csv")).parent
    evaluated = gpu.run("evaluate", run, "--store", planes["val"].path, "--device", "cuda", "--no-compile")
    assert evaluated.code == 0, evaluated.err


@pytest.mark.parametrize("command", ["doctor", "bench"])
def test_checks_and_benchmarks_run_on_the_device(gpu: NullGpu, train: Train, command: str) -> None:
    train("--no-compile", "--epochs", "1")
    ended = gpu.run(command, "toy.toml", "--store", gpu.folder / "store", "--device", "cuda")
    assert ended.code == 0, ended.err + ended.out
    assert "images/s" in ended.out
    assert command == "bench" or "40 of 40 images fit" in " ".join(ended.out.split())
    assert ("bf16" in ended.out) == (command == "doctor")
