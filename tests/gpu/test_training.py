"""Plain trainings on null devices: copies, synchronizations, the device in use, and what a machine refuses."""

from pathlib import Path

from alexrepro.data.store.store import Store
from alexrepro.device import RESERVED_BYTES, RESERVED_BYTES_PER_IMAGE

from .conftest import Train
from .null_gpu import IMAGE_BYTES, NullGpu, images_copied, kinds, last_steps, steps


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
