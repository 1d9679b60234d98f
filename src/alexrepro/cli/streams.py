"""Standard streams that are closed, not UTF-8, or no longer read by anyone."""

import codecs
import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any

PLAIN = dict(zip("×–—·²³⁴⁵⁻§±→←√…εαβλ∂▁▂▃▄▅▆▇█▏▎▍▌▋▊▉", "x--.2345-S+><v.eabld_.,-=+*########", strict=True))
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
            drop(self.fileno())
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
    codecs.register_error("plain", _plainly)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__"):  # a test or a notebook listens
            continue
        encoding = stream.encoding if stream else "utf-8"
        is_unbuffered = stream is None or stream.line_buffering or stream.write_through
        with suppress(OSError):
            if stream:
                stream.flush()
        raw = io.BufferedWriter(_Heard(number, "w", closefd=False))
        setattr(sys, name, io.TextIOWrapper(raw, encoding=encoding, errors="plain", line_buffering=is_unbuffered))


def close_streams() -> None:
    """Write out what stdout still holds. Raises OSError, for example if its disk is full."""
    try:
        sys.stdout.flush()
    except OSError:
        drop(1)  # or the interpreter tries again when it ends
        raise


def drop(stream: int) -> None:
    """Let a stream, by its number, lead to nowhere from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream)
    os.close(nowhere)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """What stands for the characters that a stream cannot show, as codecs asks for it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in lacking), error.end
