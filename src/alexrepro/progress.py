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
FIRST_COUNT_SECONDS = 5.0  # before the first line of a count without a total; shorter work needs none
BAR_EVERY_SECONDS = 0.1

Advance = Callable[..., None]  # called with newly finished items, 1 by default, and a note such as "loss 4.31"


@contextmanager
def progress(title: str, *, total: int | None, done: int = 0, unit: str = "images") -> Iterator[Advance]:
    """Show how many of the items are finished, or only how many are found if the total is unknown (None)."""
    if sys.stderr.isatty():
        counted = (BarColumn(), MofNCompleteColumn()) if total is not None else (TextColumn("{task.completed:,}"),)
        columns = (
            TextColumn("{task.description}"), *counted, TextColumn(unit), TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=Console(stderr=True), transient=total is None) as bar:
            task = bar.add_task(title, total=total, completed=done, note="")

            def update(count: int, _pace: float, note: str) -> None:
                bar.update(task, completed=count, note=note)

            yield _every(BAR_EVERY_SECONDS, update, done=done, total=total)
    else:

        def write(count: int, pace: float, note: str) -> None:
            numbers = f"{count:,} {unit}" if total is None else f"{count:,}/{total:,} {unit}, {pace:,.1f}/s"
            say(f"{title}: {numbers}{', ' + note if note else ''}")

        first_seconds = FIRST_COUNT_SECONDS if total is None else PLAIN_EVERY_SECONDS
        yield _every(PLAIN_EVERY_SECONDS, write, done=done, total=total, first_seconds=first_seconds)


def say(line: str) -> None:
    """Print a message on stderr, so that stdout holds results only; a closed stderr is ignored."""
    with suppress(OSError):
        print("\n".join(map(printable, line.split("\n"))), file=sys.stderr, flush=True)


def first_few(items: Collection[str], most: int = 5, *, between: str = ", ") -> str:
    """The first items, and how many more there are."""
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return between.join(islice(items, most)) + more


def _every(
    seconds: float, show: Callable[[int, float, str], None], *, done: int, total: int | None, first_seconds: float = 0.0
) -> Advance:
    """A function that counts finished items, and at intervals and at the end shows count, items per second and note."""
    started, finished = time.monotonic(), done
    due = started + first_seconds

    def advance(count: int = 1, note: str = "") -> None:
        nonlocal finished, due
        finished += count
        now = time.monotonic()
        if now >= due or finished == total:
            due = now + seconds
            show(finished, (finished - done) / max(now - started, 1e-9), note)

    return advance
