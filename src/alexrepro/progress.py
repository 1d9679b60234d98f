"""Progress of long work on stderr: a bar on a terminal, otherwise a line from time to time."""

import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import islice

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from alexrepro.files import printable

PLAIN_EVERY_SECONDS = 15.0
FIRST_COUNT_SECONDS = 5.0  # before the first plain line of a count; shorter work needs none
BAR_EVERY_SECONDS = 0.1

Advance = Callable[[int, str], None]  # newly finished items, and a note such as "loss 4.31"


@contextmanager
def progress(title: str, *, total: int, done: int = 0, unit: str = "images") -> Iterator[Advance]:
    """A function to call with the number of newly finished items and a note; both are shown on stderr."""
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


@contextmanager
def counting(title: str, *, unit: str = "images") -> Iterator[Callable[[], None]]:
    """A function to call for each item found if the total is unknown; the count is shown on stderr."""
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}: {task.completed:,}"), TextColumn(unit), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield _every(BAR_EVERY_SECONDS, BAR_EVERY_SECONDS, lambda count: bar.update(task, completed=count))
    else:
        yield _every(FIRST_COUNT_SECONDS, PLAIN_EVERY_SECONDS, lambda count: say(f"{title}: {count:,} {unit}"))


def say(line: str) -> None:
    """Print a message on stderr, so that stdout holds results only; a closed stderr is ignored."""
    with suppress(OSError):
        print("\n".join(map(printable, line.split("\n"))), file=sys.stderr, flush=True)


def first_few(items: Collection[str], most: int = 5, *, between: str = ", ") -> str:
    """The first items, and how many more there are."""
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return between.join(islice(items, most)) + more


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


def _every(first_seconds: float, seconds: float, show: Callable[[int], object]) -> Callable[[], None]:
    """A function that counts its calls and shows the count from time to time."""
    count, due = 0, time.monotonic() + first_seconds

    def advance() -> None:
        nonlocal count, due
        count += 1
        now = time.monotonic()
        if now >= due:
            due = now + seconds
            show(count)

    return advance
