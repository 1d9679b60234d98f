"""UserError: what went wrong, what to type next, and the exit code of the program (docs/reference/exit-codes.md)."""

import signal
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import IntEnum
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")
# Signals that ask a run to stop; Windows lacks the last two.
STOPPING = tuple(number for number in signal.Signals if number.name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"))


class Exit(IntEnum):
    """Exit codes of every command, after sysexits.h, so that schedulers and scripts can tell the cases apart."""

    OK = 0
    USAGE = 2
    BAD_DATA = 65
    MISSING_INPUT = 66
    NO_DEVICE = 69
    WORKER_FAILED = 70  # one of several processes
    OUT_OF_MEMORY = 71
    CANNOT_CREATE = 73
    IO_ERROR = 74
    STOPPED = 75  # stopped with a checkpoint: run the same command again
    NO_PERMISSION = 77
    BAD_CONFIG = 78
    INTERRUPTED = 130


class UserError(Exception):
    """An error the user can fix; printed as two lines without a traceback."""

    def __init__(self, what: str, *, fix: str, exit_code: Exit = Exit.BAD_CONFIG) -> None:
        super().__init__(what)
        self.what, self.fix, self.exit_code = what, fix, exit_code

    def __str__(self) -> str:
        """Both lines, for notebooks and tracebacks."""
        return f"{self.what}\n{self.fix}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it with its keyword arguments, so that other processes can raise it."""
        return partial(UserError, fix=self.fix, exit_code=self.exit_code), (self.what,)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without torch's C++ stack; its type if it has none."""
    return str(error).strip().partition("\n")[0].rstrip().rstrip(".") or type(error).__name__


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str = ".") -> str:
    """The end of a message about an unknown name: the nearest known one, or else a full stop."""
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else otherwise


def find_named(known: Mapping[str, T], name: str, *, kind: str, fix: str, otherwise: str = ".") -> T:
    """What has this name. Raises UserError with the nearest name if nothing has."""
    if name not in known:
        what = f"There is no {kind} {name}{did_you_mean(name, known, otherwise=otherwise)}"
        raise UserError(what, fix=fix, exit_code=Exit.USAGE)
    return known[name]


class Unreadable(Exception):
    """A file holds no image that can be trusted; the message is the reason."""


class Unreached(Unreadable):
    """The system failed to read a file; it may succeed the next time."""
