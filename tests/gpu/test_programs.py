"""The program on null devices: plain trainings, recorded steps and networks, and two ranks.

One file, so that one process of pytest-xdist loads torch's compiler for all of it.
"""

import json
import subprocess
from pathlib import Path

import pytest

from alexrepro.data.store.planes import window_shape
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.data.store.store import Store
from alexrepro.device import RESERVED_BYTES, RESERVED_BYTES_PER_IMAGE
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.run import open_run

from ..ranks import free_port
from ..toy import write_images
from .conftest import Train
from .null_gpu import (
    IMAGE_BYTES,
    UNCOMPILED,
    Ended,
    Event,
    NullGpu,
    between_epochs,
    images_copied,
    kinds,
    last_steps,
    steps,
)  # fmt: skip


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


def test_losses_are_read_a_window_late(train: Train) -> None:
    ended = train("--no-compile", "--epochs", "1", change={"training.batch": 1})
    assert ended.code == 0, ended.err
    waits = [event.name for event in last_steps(ended.events, 25) if event.kind == "sync"]
    assert waits == ["event"] * 2  # of windows that were complete when the next ones ended


def test_the_second_device_alone_is_used_where_it_is_named(train: Train) -> None:
    ended = train("--no-compile", "--epochs", "1", device="cuda:1", devices=2)
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
    ended = train("--no-compile", "--epochs", "1", NULL_GPU_NO_PINNING="1")
    assert ended.code == 0, ended.err
    assert "cannot be pinned" in ended.err


def test_a_compiler_that_fails_leaves_the_plain_path(train: Train, tmp_path: Path) -> None:
    caches = {name: str(tmp_path / name) for name in ("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")}
    ended = train("--compile", "--epochs", "1", CC="/bin/false", **caches)
    assert ended.code == 0, ended.err
    assert "Not compiled, so slower" in ended.err


def test_a_stopped_training_continues_and_is_evaluated(train: Train, gpu: NullGpu, stores: dict[str, Store]) -> None:
    assert train("--no-compile", "--epochs", "2", NULL_GPU_STOP_AFTER="3").code == 75
    ended = train("--no-compile", "--epochs", "2")
    assert ended.code == 0, ended.err
    assert "Continuing" in ended.err
    run = next(gpu.folder.glob("runs/*/*-seed-*"))
    evaluated = gpu.run("evaluate", run, "--ten-crop", "--store", stores["val"].path, "--device", "cuda")
    assert evaluated.code == 0, evaluated.err


CHANGE = {"training.batch": 12, "training.epochs": 10}  # 40 images: three full batches an epoch and a partial one


@pytest.fixture(scope="module")
def train_here(
    library: Path, programs: subprocess.Popen[str], recipe: Recipe, stores: dict[str, Store],
    tmp_path_factory: pytest.TempPathFactory,
) -> Train:  # fmt: skip
    return Train(NullGpu(library, tmp_path_factory.mktemp("recorded"), programs), recipe, stores["train"].path)


@pytest.fixture(scope="module")
def trained(train_here: Train) -> Ended:
    """A compiled training of ten epochs."""
    ended = train_here("--compile", change=CHANGE)
    assert ended.code == 0, ended.err
    return ended


def full_steps(events: list[Event]) -> list[Event]:
    """The events of the full steps after the first epoch."""
    return [event for number, step in enumerate(steps(events)) if number > 3 and number % 4 < 3 for event in step]


def test_a_compiled_training_takes_one_launch_a_step(trained: Ended) -> None:
    assert "Warning" not in trained.err
    assert "Not compiled" not in trained.err
    found = kinds(full_steps(trained.events))
    assert found["graph"] == 3 * 9
    assert found["launch"] + found["graph"] <= 3 * 27
    assert found["h2d"] == 27  # labels and draws
    assert images_copied(steps(trained.events)) == [12, 12, 4] + [0] * 37  # from the second epoch on the GPU has all
    assert found["d2d"] == 4 * 27  # crops, labels with draws, and seeds in; losses out
    assert found["sync"] == 0
    for between in between_epochs(trained.events)[1:]:
        assert kinds(between)["sync"] <= 5  # two for losses, one each for counts, finite weights and their copy


def test_nothing_is_compiled_or_recorded_after_the_first_epoch(trained: Ended) -> None:
    events = trained.events
    assert kinds(events)["capture"] == 4  # begin and end, of the step and of the validation
    marks = [number for number, event in enumerate(events) if event.kind == "mark"]
    second = marks[5]  # the first batch of the second epoch: four batches and the end of the first one come before
    graphs = {event.bytes for event in events[second:] if event.kind == "mark"}  # that torch had compiled by then
    assert len(graphs) == 1
    assert min(graphs) > 0
    assert not {"module", "capture"} & set(kinds(events[second:]))  # nor did Triton load a kernel


def test_peak_memory_stays_within_the_estimate_of_doctor(trained: Ended, train_here: Train) -> None:
    ended = train_here.gpu.run(
        "doctor", "toy.toml", "--store", train_here.store, "--device", "cuda", "--json", **UNCOMPILED
    )
    rows = {row["what"]: row for row in json.loads(ended.out)["findings"]}
    assert ended.code == 0, rows
    (peak,) = (event.bytes for event in trained.events if event.kind == "peak")
    assert peak <= rows["GPU memory"]["facts"]["need_bytes"]
    assert "images/s" in rows["time"]["found"]
    assert "bf16" in rows["precision"]["found"]
    assert rows["images on the GPU"]["facts"]["kept_images"] == 40


def test_bench_runs_on_the_device(trained: Ended, train_here: Train) -> None:
    ended = train_here.gpu.run(
        "bench", "toy.toml", "--store", train_here.store, "--device", "cuda", "--rounds", "1", **UNCOMPILED
    )
    assert ended.code == 0, ended.err
    assert "images/s" in ended.out


def test_an_ensemble_takes_one_launch_a_network_and_crop(
    trained: Ended, train_here: Train, stores: dict[str, Store]
) -> None:
    assert train_here("--no-compile", "--epochs", "1", "--seed", "1", change=CHANGE).code == 0
    runs = train_here.gpu.folder.glob("runs/*/*-seed-*")
    ended = train_here.gpu.run(
        "evaluate", *runs, "--ten-crop", "--store", stores["val"].path, "--device", "cuda", "--compile"
    )
    assert ended.code == 0, ended.err
    assert "Not " not in ended.err  # compiled or recorded
    found = kinds(ended.events)
    assert found["graph"] == 2 * 10 * 3  # networks, crops, and full batches of four of the 14 images
    assert found["capture"] == 2 * 2


def test_a_long_training_times_its_step_once_and_keeps_the_fastest_layout(train: Train, gpu: NullGpu) -> None:
    change = {"training.epochs": 500_000, "training.precision": "tf32"}
    change |= {"network.towers": 1, "network.norm": None}  # blocks are all there is to choose
    first, second = (train("--compile", change=change, NULL_GPU_STOP_AFTER="2", **UNCOMPILED) for _ in range(2))
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


def two_ranks() -> list[dict[str, str]]:
    """The variables that torchrun gives them, whose launcher would load torch in each rank anew."""
    port = str(free_port())
    return [
        {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}
        | {"MASTER_PORT": port}
        for rank in "01"
    ]


@pytest.mark.parametrize("option", ["--compile", "--no-compile"])
def test_replicas_go_on_with_full_partial_and_empty_parts_of_a_batch(train: Train, option: str) -> None:
    ended = train(
        "--parallel", "data", option, "--epochs", "2", devices=2, ranks=two_ranks(), change={"training.batch": 13},
        **UNCOMPILED,
    )  # fmt: skip
    assert ended.code == 0, ended.err  # 40 images are three batches of 13 and one of a single image
    assert "Not " not in ended.err  # compiled or recorded
    assert [log[0].device for log in ended.logs] == [0, 1]
    assert all(event.device == log[0].device for log in ended.logs for event in log)
    for log in ended.logs:
        recorded = [kinds(step)["graph"] for step in steps(log)]
        assert recorded == ([1, 1, 1, 0] * 2 if option == "--compile" else [0] * 8)


@pytest.mark.parametrize("option", ["--compile", "--no-compile"])
def test_two_towers_exchange_maps_and_halves_of_a_batch_by_nccl(train: Train, option: str) -> None:
    is_compiled = option == "--compile"
    how, launched = ((), {"ranks": two_ranks(), **UNCOMPILED}) if is_compiled else (("--gpus", "2"), {})
    ended = train("--epochs", "1", option, *how, devices=2, **launched)
    assert ended.code == 0, ended.err
    logs = [log for log in ended.logs if steps(log)]
    assert len(logs) == 2
    for log in logs:  # of a batch of eight, the rank's own loader has decoded half
        assert images_copied(steps(log)) == [4, 4, 4, 4, 0]
        if is_compiled:  # the exchanges are a part of the recorded step
            assert kinds(last_steps(log))["graph"] == 3
            assert [event.name for event in last_steps(log) if event.kind == "nccl"] == ["ncclAllGather"] * 3
            continue
        assert {"ncclAllGather", "ncclReduceScatter"} <= {
            event.name for event in last_steps(log) if event.kind == "nccl"
        }
