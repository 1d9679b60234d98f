"""Standard streams that are closed, not UTF-8, or no longer read by anyone."""

import errno
import io
import os
import sys
from typing import Any

NOBODY_READS = (errno.EPIPE, errno.EIO)  # a pipe that is closed, a terminal that is gone


class _Heard(io.FileIO):
    """A stream of the program; what nobody reads any more is dropped, as is all of stderr that cannot be written."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in NOBODY_READS and self.fileno() == 1:
                error.filename = "standard output"
                raise
            _drop(self.fileno())
            return len(memoryview(data))


def open_streams() -> None:
    """Open what is closed of stdin, stdout and stderr, and let no character or reader that is missing end the program.

    A file that the program opens would otherwise get the number of a closed stream, and be written into.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the least number that is free
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__"):  # a test or a notebook listens
            continue
        raw = io.BufferedWriter(_Heard(number, "w", closefd=False))
        by_line = number == 2 or os.isatty(number)
        encoding = stream.encoding if stream else "utf-8"
        setattr(sys, name, io.TextIOWrapper(raw, encoding, errors="backslashreplace", line_buffering=by_line))


def close_streams() -> None:
    """Write out what stdout still holds. Raises OSError, for example if its disk is full."""
    try:
        sys.stdout.flush()
    except OSError:
        _drop(1)  # or the interpreter tries again when it ends
        raise


def _drop(stream: int) -> None:
    """Let a stream, by its number, lead to nowhere from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream)
    os.close(nowhere)
