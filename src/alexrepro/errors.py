"""UserError: the one exception that users see.

It says what went wrong, what to type next, and which exit code the program ends with
(the numbers of sysexits.h, so that schedulers and scripts can tell the cases apart).
"""

import signal
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

STOPPING = tuple(  # ask a run to stop, SIGHUP by its terminal; Windows lacks the last two
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP") if name in signal.Signals.__members__
)


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


class Meaning(NamedTuple):
    """What an exit code says, when a command ends with it, and what a scheduler should do then."""

    says: str
    when: str
    scheduler: str


MEANINGS = {
    Exit.OK: Meaning("done", "What was asked is done, or was done before.", "Go on."),
    Exit.USAGE: Meaning(
        "wrong usage",
        "A command, option, recipe or field is not known, or two of them contradict each other.",
        "Stop; the command must change.",
    ),
    Exit.BAD_DATA: Meaning(
        "bad data",
        "Photographs cannot be read, a store or checkpoint is damaged, or the loss is no number or stays at chance.",
        "Stop; somebody must look.",
    ),
    Exit.MISSING_INPUT: Meaning(
        "missing input",
        "A store, a run, a file or an optional package is not there.",
        "Stop, or run what makes it first.",
    ),
    Exit.NO_DEVICE: Meaning(
        "no device", "A GPU that was asked for is not there or cannot be used.", "Run again on another host."
    ),
    Exit.WORKER_FAILED: Meaning(
        "worker failed",
        "One of several processes was killed, failed or stopped responding; the others have ended, too.",
        "Run again: a training continues from its last checkpoint. Stop if it happens again.",
    ),
    Exit.OUT_OF_MEMORY: Meaning(
        "out of memory",
        "A batch, or what feeds batches, does not fit; or memory ran out.",
        "Stop, or run on a host that has more.",
    ),
    Exit.CANNOT_CREATE: Meaning(
        "cannot create",
        "A file is in the way, the disk cannot be written, or another process trains in the folder.",
        "Stop; do not run two trainings of one recipe, data set and seed.",
    ),
    Exit.IO_ERROR: Meaning(
        "disk error",
        "A disk or a quota is full, or will be, or a file would be too large.",
        "Run again once there is room; finished work is kept.",
    ),
    Exit.STOPPED: Meaning(
        "stopped",
        "SIGTERM, SIGUSR1 or SIGHUP; a training has saved a checkpoint first.",
        "Requeue the same command: it continues.",
    ),
    Exit.NO_PERMISSION: Meaning("no permission", "A file or folder may not be read or written.", "Stop."),
    Exit.BAD_CONFIG: Meaning(
        "bad configuration",
        "A recipe cannot be computed, or does not fit the store, the run or the installed versions.",
        "Stop; recipe or installation must change.",
    ),
    Exit.INTERRUPTED: Meaning(
        "interrupted",
        "Ctrl-C; a training has saved a checkpoint first.",
        "Nothing; the same command continues a training or a preparation.",
    ),
}


class UserError(Exception):
    """An error the user can fix; printed as two lines without a traceback."""

    def __init__(self, what: str, *, fix: str, exit_code: Exit = Exit.BAD_CONFIG) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process may raise it, too: by default, an exception is rebuilt without arguments that are named."""
        return partial(UserError, fix=self.fix, exit_code=self.exit_code), (self.what,)


class Unreadable(Exception):
    """A file holds no picture that can be trusted; the message is the reason."""


class Unreached(Unreadable):
    """The system could not read a file. It may be able to the next time."""
