"""Runs the command itself in a child process, so that exit codes, memory and time are those of a user's program.

Also writes tars block by block, so that they can be cut anywhere.
"""

import io
import os
import signal
import sys
import tarfile
import time
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image

from alexrepro.__main__ import main
from alexrepro.errors import Exit

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MOST_GROWTH_BYTES = 300_000_000  # of the memory; preparing two small photos makes it grow by about 90,000,000
END_OF_TAR = bytes(1024)


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, what it said on stderr, and by how much its memory grew at most."""

    code: int
    said: str
    growth_bytes: int


def command(*arguments: object, said: Path, seconds: float = 60, first: Callable[[], object] = lambda: None) -> Ended:
    """Run `alexrepro` with these arguments in a child that does something else first.

    It is killed if it takes longer than so many seconds.
    """
    import_module("alexrepro.data.store.prepare")  # once here, so that no child spends seconds on torch
    at_start = said.with_suffix(".memory")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside torch's sleeping threads is harmless here
        child = os.fork()
    if child == 0:
        at_start.write_text(Path("/proc/self/statm").read_text())
        first()
        _become([str(argument) for argument in arguments], said)
    status, most_bytes = _wait(child, seconds)
    start_bytes = int(at_start.read_text().split()[1]) * PAGE_BYTES
    return Ended(os.waitstatus_to_exitcode(status), said.read_text(errors="replace"), most_bytes - start_bytes)


def _become(arguments: list[str], said: Path) -> None:
    """Be the program, with stderr in a file, and leave as it leaves."""
    code = 1
    try:
        stream = said.open("w", buffering=1, errors="backslashreplace")
        os.dup2(stream.fileno(), 2)
        sys.stderr, sys.stdout, sys.argv = stream, io.StringIO(), ["alexrepro", *arguments]
        main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _wait(child: int, seconds: float) -> tuple[int, int]:
    """The exit status of a child and the most memory it had; it is killed when its time is over."""
    end = time.monotonic() + seconds
    while True:
        ended, status, used = os.wait4(child, os.WNOHANG)
        if ended:
            return status, used.ru_maxrss * 1024
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)


def prepared(source: Path, *options: object) -> Ended:
    """`alexrepro prepare` of a small source into `stores` beside it; nothing around that folder may change."""
    out = source.parent / "stores"
    before = tree(source.parent, without=out)
    fixed = ("prepare", source, "--out", out, "--workers", 1, "--allow-partial")
    ended = command(*fixed, *options, said=source.parent.with_suffix(".said"))
    assert tree(source.parent, without=out) == before
    return ended


def assert_refused(ended: Ended, *, code: Exit = Exit.BAD_DATA) -> None:
    """The command ended with two lines and the exit code, without a traceback, and in bounded memory."""
    assert ended.code == code, ended.said
    assert "Traceback" not in ended.said
    assert len(ended.said[ended.said.index("alexrepro: ") :].splitlines()) == 2
    assert ended.growth_bytes < MOST_GROWTH_BYTES


def assert_done(ended: Ended) -> None:
    """The command ended well, and in bounded memory."""
    assert ended.code == Exit.OK, ended.said
    assert ended.growth_bytes < MOST_GROWTH_BYTES


def tree(folder: Path, *, without: Path) -> dict[Path, tuple[int, ...]]:
    """What lies in a folder, apart from what lies in another: mode, size and time of change of each."""
    found = (path for path in folder.rglob("*") if without not in (path, *path.parents))
    return {path: (state.st_mode, state.st_size, state.st_mtime_ns) for path in found for state in [path.lstat()]}


def picture(number: int = 0) -> bytes:
    """A small JPEG."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


def member(name: str, data: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """The header of a tar member and its data, filled up to whole blocks; nothing ends it."""
    header = tarfile.TarInfo(name)
    header.size, header.type, header.linkname = len(data), kind, link
    return header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + data + bytes(-len(data) % 512)


def class_tar(wnid: str, more: bytes = b"") -> bytes:
    """A tar of one image of a class, with more members behind it."""
    return member(f"{wnid}_1.JPEG", picture(int(wnid[-1]))) + more + END_OF_TAR


def train_tar(more: bytes = b"", end: bytes = END_OF_TAR) -> bytes:
    """The training archive of two classes, with more members behind their tars."""
    return b"".join(member(f"{wnid}.tar", class_tar(wnid)) for wnid in ("n00000001", "n00000002")) + more + end


def zip_of(files: Mapping[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive of these files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()
