"""The feed: every position of the plan once, the same batches whoever fills them, damage and dead workers named."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexrepro.data.loading import workers as workers_module
from alexrepro.data.loading.loader import Batch, Feed, batch_count, feed
from alexrepro.data.loading.sampling import Plan, training_plan
from alexrepro.data.loading.workers import Kind, Memory
from alexrepro.data.store.decode import Pixels
from alexrepro.data.store.prepare import prepare
from alexrepro.data.store.store import Store
from alexrepro.errors import UserError
from alexrepro.paper.training import Augmentation

IMAGES = 11
needs_processes = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="processes share memory on Linux only")
KINDS = ["threads", pytest.param("processes", marks=needs_processes)]


def make_store(folder: Path) -> Store:
    pictures = folder / "pictures" / "a"
    pictures.mkdir(parents=True)
    draws = np.random.default_rng(5)
    for number in range(IMAGES):
        Image.fromarray(draws.integers(0, 256, (256, 256, 3), dtype=np.uint8)).save(pictures / f"{number:02d}.png")
    return prepare(pictures.parent, out=folder / "stores", encoding="raw", processes=1)["train"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("feed"))


@pytest.fixture
def opened(store: Store) -> Iterator[Feed]:
    with Feed(store, batch=4, side_px=224, workers=2, kind="processes") as feed:
        yield feed


def plan_of(epoch: int) -> Plan:
    return training_plan(
        IMAGES, seed=1, epoch=epoch, augmentation=Augmentation(), side_px=224, shuffle_every_epoch=True
    )


def batches(store: Store, *, workers: int, kind: Kind = "threads", first: int = 0, batch: int = 4) -> list[Batch]:
    return list(feed(store, plan_of(2), batch=batch, first=first, workers=workers, kind=kind))


def memory_kb(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem")))


def is_running(process: str) -> bool:
    status = Path("/proc", process, "status")
    return status.exists() and "State:\tZ" not in status.read_text(encoding="ascii")


def test_each_image_comes_once_and_the_last_batch_is_smaller(store: Store) -> None:
    found = batches(store, workers=2)

    assert [len(batch) for batch in found] == [4, 4, 3]
    assert batch_count(IMAGES, 4) == 3
    assert sorted(image for batch in found for image in batch.images.tolist()) == list(range(IMAGES))


def test_crops_are_cut_at_the_planned_offsets(store: Store) -> None:
    whole = np.empty((256, 256, 3), dtype=np.uint8)

    for batch in batches(store, workers=1):
        for crop, image, (y, x) in zip(batch.crops, batch.images, batch.offsets_px.tolist(), strict=True):
            store.pixels(int(image), whole)
            assert np.array_equal(crop.permute(1, 2, 0).numpy(), whole[y : y + 224, x : x + 224])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", [2, 7])
def test_the_number_of_threads_changes_nothing(store: Store, threads: int, kind: Kind) -> None:
    for one, other in zip(batches(store, workers=1), batches(store, workers=threads, kind=kind), strict=True):
        assert torch.equal(one.crops, other.crops)
        assert torch.equal(one.colors, other.colors)
        assert one.number == other.number


class Watched(Store):
    """A store that notes the rows that are read."""

    def image(self, row: int, scratch: Pixels, *, check: bool) -> Pixels:
        self.rows = [*getattr(self, "rows", ()), row]
        return super().image(row, scratch, check=check)


def test_the_next_batches_are_made_while_one_is_used(store: Store) -> None:
    watched = Watched(store.path, store.manifest)

    with Feed(watched, batch=1, side_px=224, workers=1, kind="threads") as opened:
        used = next(opened.batches(plan_of(1)))  # and no other is asked for
        deadline = time.monotonic() + 10
        while len(watched.rows) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)

    assert used.number == 0
    assert watched.rows == plan_of(1).order[:5].tolist()  # three wait beside the one that its worker makes


def test_a_feed_can_begin_in_the_middle(store: Store) -> None:
    later, all_of_them = batches(store, workers=2, first=2), batches(store, workers=2)

    assert torch.equal(later[0].crops, all_of_them[2].crops)
    assert len(later) == 1


def test_batches_that_are_kept_are_never_filled_again(store: Store) -> None:
    kept = batches(store, workers=1, batch=1)  # 11 batches; one worker has memory for 7
    anew = [batch.crops.clone() for batch in feed(store, plan_of(2), batch=1, workers=1)]

    assert all(torch.equal(batch.crops, crops) for batch, crops in zip(kept, anew, strict=True))


def test_a_plan_that_was_left_does_not_show_in_the_next(store: Store, opened: Feed) -> None:
    next(opened.batches(plan_of(1)))

    for one, other in zip(opened.batches(plan_of(2)), batches(store, workers=1), strict=True):
        assert torch.equal(one.crops, other.crops)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_image_stops_the_feed_and_is_named(tmp_path: Path, kind: Kind) -> None:
    store = make_store(tmp_path)
    shard = store.path / "shard-00000.arrow"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1  # the images are nearly all of the file
    shard.write_bytes(data)

    with pytest.raises(UserError, match=r"shard-00000\.arrow, row 5 .*05\.png"):
        batches(Store.open(store.path), workers=2, kind=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_shard_that_is_cut_short_while_it_is_in_use_is_named(tmp_path: Path, kind: Kind) -> None:
    store = make_store(tmp_path)
    with Feed(store, batch=4, side_px=224, workers=1, kind=kind) as opened:
        list(opened.batches(plan_of(1)))
        os.truncate(store.path / "shard-00000.arrow", 8192)  # in mapped memory, this would end the program with SIGBUS

        with pytest.raises(UserError, match=r"damaged: shard-00000\.arrow, row \d+ \(the file was cut short while"):
            list(opened.batches(plan_of(2)))


@needs_processes
def test_a_worker_that_is_killed_ends_the_feed(opened: Feed) -> None:
    for process in multiprocessing.active_children():
        process.kill()

    with pytest.raises(UserError, match="killed by SIGKILL"):
        list(opened.batches(plan_of(1)))


@needs_processes
def test_a_worker_that_stands_still_ends_the_feed(opened: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "STUCK_SECONDS", 0.2)
    list(opened.batches(plan_of(1)))
    for process in multiprocessing.active_children():
        os.kill(process.pid or 0, signal.SIGSTOP)

    with pytest.raises(UserError, match=r"has done nothing for 0\.2 seconds while it read shard-00000\.arrow, row \d+"):
        list(opened.batches(plan_of(2)))


@needs_processes
@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_workers_leave_signals_to_the_training_loop(opened: Feed, asked: signal.Signals) -> None:
    list(opened.batches(plan_of(1)))
    for process in multiprocessing.active_children():
        os.kill(process.pid or 0, asked)

    assert len(list(opened.batches(plan_of(2)))) == 3


@needs_processes
def test_no_worker_outlives_its_parent(store: Store) -> None:
    code = (
        "import multiprocessing, sys, time\nfrom pathlib import Path\n"
        "from alexrepro.data.loading.loader import Feed\nfrom alexrepro.data.store.store import Store\n"
        "store = Store.open(Path(sys.argv[1]))\n"
        "feed = Feed(store, batch=4, side_px=224, workers=2, kind='processes')\n"
        "print(*(process.pid for process in multiprocessing.active_children()), flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(store.path)], stdout=subprocess.PIPE, text=True)
    with parent:
        workers = parent.stdout.readline().split() if parent.stdout else []
        parent.kill()
    deadline = time.monotonic() + 5
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert [is_running(worker) for worker in workers] == [False, False]


@pytest.mark.parametrize("shared", [False, pytest.param(True, marks=needs_processes)])
def test_memory_that_cannot_be_had_is_refused_with_its_size(shared: bool) -> None:
    with pytest.raises(UserError, match=r"needs 150,528,000 MB"):  # more than a process can address
        Memory(slots=10**6, batch=1000, side_px=224, workers=1, shared=shared)


@needs_processes
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_batches_take_no_more_memory_than_hundreds(store: Store, kind: Kind) -> None:
    with Feed(store, batch=1, side_px=224, workers=1, kind=kind) as opened:
        watched = [os.getpid(), *(process.pid or 0 for process in multiprocessing.active_children())]
        before: list[int] = []
        for epoch in range(300):
            if epoch == 50:
                before = [memory_kb(process) for process in watched]
            for _ in opened.batches(plan_of(epoch)):
                pass
        after = [memory_kb(process) for process in watched]

    # 2,750 batches of 150 kB; what Python's own free lists take and give back is far below a megabyte.
    assert max(b - a for a, b in zip(before, after, strict=True)) < 1000


@pytest.mark.gpu
def test_batches_on_a_gpu_are_those_of_the_processor(store: Store) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    device = torch.device("cuda")

    for one, other in zip(
        feed(store, plan_of(2), batch=1, workers=2, device=device), batches(store, workers=1, batch=1), strict=True
    ):
        torch.cuda._sleep(10_000_000)  # the device is behind, while memory comes round again
        assert one.crops.device.type == "cuda"
        assert torch.equal(one.crops.cpu(), other.crops)
