"""The loader: every image of the plan once, the same batches whoever fills them, damage and dead workers named."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from alexrepro.data.loading import loader as loader_module
from alexrepro.data.loading.loader import Kind, Loader, Workers
from alexrepro.data.loading.ring import Ring
from alexrepro.data.loading.sampling import Batch, EpochPlan, batch_count, training_plan
from alexrepro.data.store import processes
from alexrepro.data.store.decode import Pixels
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.data.store.store import Store
from alexrepro.device import find_device
from alexrepro.errors import Exit, UserError
from alexrepro.paper.training import Augmentation

from ...children import PATIENCE_SECONDS, wait_until
from ...launched import is_running
from ...loaded import start

IMAGES = 11
STUCK = r"has done nothing for 0\.2 seconds while it read shard-00000\.arrow, row \d+"
needs_processes = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="processes share memory on Linux only")
KINDS = ["threads", pytest.param("processes", marks=needs_processes)]


def make_store(folder: Path) -> Store:
    images = folder / "images" / "a"
    images.mkdir(parents=True)
    draws = np.random.default_rng(5)
    for number in range(IMAGES):
        Image.fromarray(draws.integers(0, 256, (256, 256, 3), dtype=np.uint8)).save(images / f"{number:02d}.png")
    return prepare(images.parent, out=folder / "stores", workers=1, options=Options(encoding="raw"))["train"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("loader"))


@pytest.fixture
def opened(store: Store) -> Iterator[Loader]:
    with Loader(store, batch=4, side_px=224, workers=Workers(2, "processes")) as loader:
        yield loader


def plan_of(epoch: int) -> EpochPlan:
    return training_plan(
        IMAGES, seed=1, epoch=epoch, augmentation=Augmentation(), side_px=224, shuffle_every_epoch=True
    )


def batches(store: Store, number: int = 1, kind: Kind = "threads", *, batch: int = 4) -> list[Batch]:
    with Loader(store, batch=batch, side_px=224, workers=Workers(number, kind)) as loader:
        return list(loader.batches(plan_of(2)))


def memory_kb(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem")))


def send(number: signal.Signals, loader: Loader) -> None:
    """Send a signal to the worker processes once each has filled a batch."""
    list(loader.batches(plan_of(1)))
    for process in multiprocessing.active_children():
        os.kill(process.pid or 0, number)


def test_each_image_comes_once_and_the_last_batch_is_smaller(store: Store) -> None:
    found = batches(store, 2)

    assert [len(batch) for batch in found] == [4, 4, 3]
    assert batch_count(IMAGES, 4) == 3
    assert sorted(row for batch in found for row in batch.draws.rows.tolist()) == list(range(IMAGES))


def test_crops_are_cut_at_the_planned_offsets(store: Store) -> None:
    for batch in batches(store):
        for crop, row, (y, x) in zip(batch.crops, batch.draws.rows, batch.draws.offsets.tolist(), strict=True):
            whole = store.pixels(int(row))
            assert np.array_equal(crop.permute(1, 2, 0).numpy(), whole[y : y + 224, x : x + 224])


@pytest.mark.parametrize(("number", "kind"), [(7, "threads"), pytest.param(2, "processes", marks=needs_processes)])
def test_the_number_of_workers_changes_nothing(store: Store, number: int, kind: Kind) -> None:
    for one, other in zip(batches(store), batches(store, number, kind), strict=True):
        assert torch.equal(one.crops, other.crops)
        assert torch.equal(one.draws.colors, other.draws.colors)
        assert one.number == other.number


class Watched(Store):
    """A store that records the rows that are read."""

    def image(self, row: int, scratch: Pixels, *, check: bool) -> Pixels:
        self.rows = [*getattr(self, "rows", ()), row]
        return super().image(row, scratch, check=check)


def test_the_next_batches_are_made_while_one_is_used(store: Store) -> None:
    watched = Watched(store.path, store.manifest)

    with Loader(watched, batch=1, side_px=224, workers=Workers(1, "threads")) as loader:
        used = next(loader.batches(plan_of(1)))  # and no other is asked for
        wait_until(lambda: len(watched.rows) == 5)

    assert used.number == 0
    assert watched.rows == plan_of(1).whole().rows[:5].tolist()  # three wait besides the one that its worker makes


def test_an_epoch_can_begin_in_the_middle_after_one_that_was_left(store: Store, opened: Loader) -> None:
    next(opened.batches(plan_of(1)))

    later = list(opened.batches(plan_of(2), first=2))

    assert torch.equal(later[0].crops, batches(store)[2].crops)
    assert len(later) == 1


def test_batches_that_are_kept_are_never_filled_again(store: Store) -> None:
    kept = batches(store, batch=1)  # 11 batches; one worker has memory for 7
    with Loader(store, batch=1, side_px=224) as loader:
        anew = [batch.crops.clone() for batch in loader.batches(plan_of(2))]

    assert all(torch.equal(batch.crops, crops) for batch, crops in zip(kept, anew, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_image_ends_the_loader_and_is_named(tmp_path: Path, kind: Kind) -> None:
    store = make_store(tmp_path)
    shard = store.path / "shard-00000.arrow"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1  # the images are nearly all of the file
    shard.write_bytes(data)

    with pytest.raises(UserError, match=r"shard-00000\.arrow, row 5 .*05\.png"):
        batches(Store.open(store.path), 2, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_shard_that_is_cut_short_while_it_is_in_use_is_named(tmp_path: Path, kind: Kind) -> None:
    store = make_store(tmp_path)
    with Loader(store, batch=4, side_px=224, workers=Workers(1, kind)) as loader:
        list(loader.batches(plan_of(1)))
        os.truncate(store.path / "shard-00000.arrow", 8192)  # in mapped memory, this would end the program with SIGBUS

        with pytest.raises(UserError, match=r"damaged: shard-00000\.arrow, row \d+ \(the file was cut short while"):
            list(loader.batches(plan_of(2)))


def test_an_error_of_a_worker_is_reported_once_with_its_image(
    store: Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    image = Store.image

    def too_large(self: Store, row: int, scratch: Pixels, **named: Any) -> Pixels:
        if row == 7:
            raise MemoryError("no memory for an image")
        return image(self, row, scratch, **named)

    monkeypatch.setattr(Store, "image", too_large)
    with pytest.raises(UserError) as refused:
        batches(store, 2)

    refused.match(r"failed \(MemoryError: no memory for an image\) while it read shard-00000\.arrow, row 7\.")
    assert refused.value.exit_code is Exit.WORKER_FAILED
    assert capfd.readouterr().err == ""


def test_threads_that_hang_are_named_and_left_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = Event()

    def hang(*_: Any, **__: Any) -> Pixels:
        goes_on.wait()
        raise OSError("the disk is gone")

    monkeypatch.setattr(loader_module, "STUCK_SECONDS", 0.2)
    monkeypatch.setattr(processes, "CLOSING_SECONDS", 1.0)
    monkeypatch.setattr(Store, "image", hang)
    started = time.monotonic()
    try:
        with pytest.raises(UserError, match=STUCK):
            batches(store, 11, batch=1)
        assert time.monotonic() - started < 8  # and not a second for each of eleven
    finally:
        goes_on.set()


@needs_processes
@pytest.mark.parametrize(("sent", "message"), [(signal.SIGKILL, r"was ended by SIGKILL"), (signal.SIGSTOP, STUCK)])
def test_processes_that_die_or_hang_are_named(
    opened: Loader, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals, message: str
) -> None:
    send(sent, opened)
    if sent == signal.SIGSTOP:
        monkeypatch.setattr(loader_module, "STUCK_SECONDS", 0.2)

    with pytest.raises(UserError, match=message):
        list(opened.batches(plan_of(2)))


@needs_processes
@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_workers_leave_signals_to_the_training_loop(opened: Loader, asked: signal.Signals) -> None:
    send(asked, opened)

    assert len(list(opened.batches(plan_of(2)))) == 3


def program(path: Path, over: Path) -> None:
    """Say "ready", open a loader as a training does, which saves before it hears signals, and name its workers."""
    signal.signal(signal.SIGINT, lambda *_: None)
    store = Store.open(path)
    print("ready", flush=True)
    with Loader(store, batch=2, side_px=32, workers=Workers(2, "processes")):
        print(*(process.pid for process in multiprocessing.active_children()), flush=True)
        wait_until(over.exists)


@pytest.fixture
def started(store: Store, tmp_path: Path) -> tuple[BaseProcess, Path]:
    """The program, which is ready, and the file of what it says."""
    said = tmp_path / "said"
    process = start(program, store.path, tmp_path / "over", said=said)
    wait_until(lambda: said.exists() and said.read_text())
    return process, said


@needs_processes
def test_no_worker_outlives_its_parent(started: tuple[BaseProcess, Path]) -> None:
    parent, said = started
    wait_until(lambda: said.read_text().count("\n") == 2)
    workers = said.read_text().split()[1:]

    parent.kill()

    assert len(workers) == 2
    wait_until(lambda: not any(map(is_running, workers)))


@pytest.mark.slow
@needs_processes
@pytest.mark.parametrize("seconds", [0.05, 0.3])
def test_processes_that_start_do_not_hear_what_a_terminal_sends_to_all(
    started: tuple[BaseProcess, Path], tmp_path: Path, seconds: float
) -> None:
    process, said = started
    assert process.pid is not None

    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    (tmp_path / "over").touch()
    process.join(PATIENCE_SECONDS)

    lines = said.read_text().splitlines()
    assert (process.exitcode, [len(line.split()) for line in lines]) == (0, [1, 2])  # and no error


@needs_processes
def test_memory_for_batches_is_not_that_of_dev_shm(opened: Loader) -> None:
    list(opened.batches(plan_of(1)))

    maps = [Path(f"/proc/{process.pid}/maps").read_text() for process in multiprocessing.active_children()]
    assert ["memfd:alexrepro-loader" in found for found in maps] == [True, True]
    assert not any("/dev/shm" in found for found in maps)


def test_memory_that_cannot_be_had_is_refused_with_its_size() -> None:
    with pytest.raises(UserError, match=r"needs 150,528,000 MB"):  # more than a process can address
        Ring((10**6, 1000, 224, 224, 3), 1)


@needs_processes
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_batches_take_no_more_memory_than_hundreds(store: Store, kind: Kind) -> None:
    with Loader(store, batch=1, side_px=224, workers=Workers(1, kind)) as loader:
        watched = [os.getpid(), *(process.pid or 0 for process in multiprocessing.active_children())]
        before: list[int] = []
        for epoch in range(300):
            if epoch == 50:
                before = [memory_kb(process) for process in watched]
            for _ in loader.batches(plan_of(epoch)):
                pass
        after = [memory_kb(process) for process in watched]

    # 2,750 batches of 150 kB; what Python's own free lists take and give back is far below a megabyte.
    assert max(b - a for a, b in zip(before, after, strict=True)) < 1000


@pytest.mark.gpu
def test_batches_on_a_gpu_are_those_of_the_processor(store: Store) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    with Loader(store, batch=1, side_px=224, copies=find_device("cuda").copies) as loader:
        for one, other in zip(loader.batches(plan_of(2)), batches(store, batch=1), strict=True):
            torch.cuda._sleep(10_000_000)  # the device is behind, while memory comes round again
            assert one.crops.device.type == "cuda"
            assert torch.equal(one.crops.cpu(), other.crops)
