"""Refusal: the one exception that users see.

It says what went wrong, what to type next, and which exit code the program ends with
(the numbers of sysexits.h, so that schedulers and scripts can tell the cases apart).
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command, after sysexits.h."""

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


class Refusal(Exception):
    """An error the user can fix; printed as two lines without a traceback."""

    def __init__(self, what: str, *, fix: str, exit_code: Exit = Exit.BAD_CONFIG) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.exit_code = exit_code


class Unreadable(Exception):
    """A file holds no picture that can be trusted; the message is the reason."""
