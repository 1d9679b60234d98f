"""Workers of the feed that fail: what failed is named with its image, and nothing waits for what hangs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from alexrepro.data.loading import workers
from alexrepro.data.loading.loader import Feed
from alexrepro.data.store.store import Store
from alexrepro.errors import Exit, UserError

from .test_loader import batches, make_store, plan_of

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("workers"))


def test_an_error_of_a_worker_is_told_once_with_its_image(
    store: Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    image = Store.image

    def too_large(self: Store, row: int, scratch: Pixels, **named: Any) -> Pixels:
        if row == 7:
            raise MemoryError("no room for a picture")
        return image(self, row, scratch, **named)

    monkeypatch.setattr(Store, "image", too_large)
    with pytest.raises(UserError) as refused:
        batches(store, workers=2)

    refused.match(r"failed \(MemoryError: no room for a picture\) while it read shard-00000\.arrow, row 7\.")
    assert refused.value.exit_code is Exit.WORKER_FAILED
    assert capfd.readouterr().err == ""


def test_workers_that_hang_are_named_and_left_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = Event()

    def hang(*_: Any, **__: Any) -> Pixels:
        goes_on.wait()
        raise OSError("the disk is gone")

    monkeypatch.setattr(workers, "STUCK_SECONDS", 0.2)
    monkeypatch.setattr(workers, "CLOSING_SECONDS", 1.0)
    monkeypatch.setattr(Store, "image", hang)
    started = time.monotonic()
    try:
        with pytest.raises(
            UserError, match=r"has done nothing for 0\.2 seconds while it read shard-00000\.arrow, row \d+"
        ):
            batches(store, workers=11, batch=1)
        assert time.monotonic() - started < 8  # and not a second for each of eleven
    finally:
        goes_on.set()


def test_memory_for_batches_is_not_that_of_dev_shm(store: Store) -> None:
    before = set(Path("/dev/shm").iterdir()) if Path("/dev/shm").is_dir() else set()

    with Feed(store, batch=4, side_px=224, workers=2, kind="processes") as opened:
        list(opened.batches(plan_of(1)))
        during = set(Path("/dev/shm").iterdir()) if Path("/dev/shm").is_dir() else set()

    assert during == before


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.05, 0.3])
def test_processes_that_start_do_not_hear_what_the_terminal_sends_to_all(store: Store, seconds: float) -> None:
    program = (
        "import signal, sys\nfrom pathlib import Path\n"
        "from alexrepro.data.loading.loader import Feed\nfrom alexrepro.data.store.store import Store\n"
        "signal.signal(signal.SIGINT, lambda *_: None)  # as a training, which saves first\n"
        "store = Store.open(Path(sys.argv[1]))\nprint('ready', flush=True)\n"
        "with Feed(store, batch=2, side_px=32, workers=1, kind='processes') as feed:\n    pass\n"
        "sys.stdin.read()  # until the signal is sent\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, store.path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as started:  # fmt: skip
        assert started.stdout is not None
        started.stdout.readline()
        time.sleep(seconds)
        os.killpg(started.pid, signal.SIGINT)
        said = started.communicate(timeout=120)[1]

    assert (started.returncode, said) == (0, "")
