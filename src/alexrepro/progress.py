"""Progress of long work on stderr: a bar on a terminal, a plain line now and then anywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PLAIN_EVERY_SECONDS = 15.0

Advance = Callable[[int, str], None]  # how many more are done, and a note such as "loss 4.31"


@contextmanager
def progress(title: str, *, total: int, done: int = 0, unit: str = "images") -> Iterator[Advance]:
    """A function to call with the number of newly finished items and a note; shows both on stderr."""
    if sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
            TextColumn("{task.fields[note]}"), TimeElapsedColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(title, total=total, completed=done, note="")
            yield lambda count, note: bar.update(task, advance=count, note=note)
    else:
        yield _plain_lines(title, total, done, unit)


def say(line: str) -> None:
    """One line for people, on stderr, so that stdout holds results only; nobody may be there to read it any more."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _plain_lines(title: str, total: int, done: int, unit: str) -> Advance:
    started = last = time.monotonic()
    count_at_start = done

    def advance(count: int, note: str) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if done < total and now - last < PLAIN_EVERY_SECONDS:
            return
        last = now
        pace = (done - count_at_start) / max(now - started, 1e-9)
        say(f"{title}: {done:,}/{total:,} {unit}, {pace:,.1f}/s{', ' + note if note else ''}")

    return advance
