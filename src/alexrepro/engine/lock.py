"""One process trains in a run folder: a lock of the kernel, which ends with its process, however that ends."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from alexrepro.errors import Exit, Refusal
from alexrepro.files import make_folder


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep other processes from training in a folder; raises Refusal at once, naming the process that does.

    The lock lies beside the folder, which may be missing and may get another name meanwhile.
    """
    make_folder(folder.parent)
    file = folder.with_name(f".{folder.name}.lock")
    try:
        held = FileLock(file).acquire(timeout=0)
    except Timeout:
        raise Refusal(
            f"Another process{_holder(file)} is training in {folder}.",
            fix="Wait for it, or train another seed with --seed N.",
            exit_code=Exit.CANNOT_CREATE,
        ) from None
    with held:
        file.write_text(f"{os.getpid()}\n{socket.gethostname()}\n", encoding="utf-8")
        yield


def _holder(file: Path) -> str:
    """Who holds the lock; nothing in the moment before the holder has written it."""
    process, _, host = file.read_text(encoding="utf-8").strip().partition("\n")
    return f" ({process} on {host})" if host else ""
