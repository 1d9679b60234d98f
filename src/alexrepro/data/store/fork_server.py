"""Preloaded by the process from which workers are forked: says nothing of its threads, nor of a program that is gone.

The threads are OpenBLAS's and those of pyarrow's jemalloc, and both libraries prepare each fork (pthread_atfork);
Python 3.12 warns of any thread. A worker whose program is killed while it starts finds its instructions cut short.
"""

import sys
import warnings
from types import TracebackType


def _say_unless_cut_short(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, EOFError):
        sys.__excepthook__(kind, error, trace)


warnings.filterwarnings("ignore", r"This process .* is multi-threaded", DeprecationWarning)
sys.excepthook = _say_unless_cut_short
