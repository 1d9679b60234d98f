"""The terminal and the command line as they are: streams that are closed or not UTF-8, and `~` for the home folder."""

import codecs
import errno
import io
import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from alexrepro.errors import Exit, UserError

PLAIN = {  # what stands for characters that a stream lacks; of others, their number
    **dict(zip("×–—·²³εαβλ∂", "x--.23eabld", strict=True)),
    **dict(zip("▁▂▃▄▅▆▇█▏▎▍▌▋▊▉", "_.,-=+*########", strict=True)),
    "…": "...",
    "→": "->",
    "←": "<-",
    "√": "sqrt",
    "⁻": "^-",
    "⁴": "4",
    "⁵": "5",
    "±": "+-",
    "§": "section ",
}
NOBODY_READS = (errno.EPIPE, errno.EIO)  # a pipe that is closed, a terminal that is gone
HOME = re.compile(r"(--[\w-]+=)?((~[^/]*).*)", re.DOTALL)


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


def read_arguments(arguments: Iterable[str]) -> list[str]:
    """The arguments with `~` and `~user` replaced where shells leave them: in quotes and in `--out=~/stores`.

    Raises UserError if the home folder is not known, or for an argument that is not text: files record these.
    """
    read = list(arguments)
    for argument in read:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise not_text(argument) from None
    return [_with_home(argument) for argument in read]


def not_text(name: str) -> UserError:
    """The refusal of a name with bytes that are no characters."""
    return UserError(
        f"{name} has bytes that are not text in {sys.getfilesystemencoding()}, the encoding of file names here.",
        fix="Rename the file or folder, or set LC_ALL=C.UTF-8 if its name is UTF-8.",
        exit_code=Exit.USAGE,
    )


def name_around(text: str, place: int) -> str:
    """The path or name in a text that has the character at a place; in JSON and CSV, quotes and lines end it."""
    return re.split(r'["\n]', text[:place])[-1] + re.split(r'["\n]', text[place:])[0]


def _with_home(argument: str) -> str:
    found = HOME.fullmatch(argument)
    if found is None or (found[3] != "~" and Path(found[2]).exists()):  # a file may be named ~x
        return argument
    path = os.path.expanduser(found[2])  # noqa: PTH111 - Path.expanduser raises where this leaves the path as it is
    if path.startswith("~"):
        whose = f"of {found[3][1:]} is" if found[3] != "~" else "is"
        raise UserError(
            f"{found[2]} cannot be found: the home folder {whose} not known.",
            fix="Type the path in full, or ./~NAME for a name that begins with ~.",
            exit_code=Exit.MISSING_INPUT,
        )
    return (found[1] or "") + path


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """What stands for the characters that a stream cannot show, as codecs asks for it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in lacking), error.end
