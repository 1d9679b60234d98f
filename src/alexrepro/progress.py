"""Progress of long work on stderr: a bar on a terminal, otherwise a line from time to time."""

import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import islice
from pathlib import Path
from shlex import quote

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
    is_terminal = sys.stderr.isatty()
    counted = (BarColumn(), MofNCompleteColumn()) if total is not None else (TextColumn("{task.completed:,}"),)
    columns = (
        TextColumn("{task.description}"), *counted, TextColumn(unit), TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    bar = Progress(*columns, console=Console(stderr=True), transient=total is None)
    task = bar.add_task(title, total=total, completed=done, note="")
    first_line = 0.0 if is_terminal else FIRST_COUNT_SECONDS if total is None else PLAIN_EVERY_SECONDS
    started, finished = time.monotonic(), done
    due = started + first_line

    def advance(count: int = 1, note: str = "") -> None:
        nonlocal finished, due
        finished += count
        now = time.monotonic()
        if now < due and finished != total:
            return
        if is_terminal:
            bar.update(task, completed=finished, note=note)
        else:
            pace = (finished - done) / max(now - started, 1e-9)
            numbers = f"{finished:,} {unit}" if total is None else f"{finished:,}/{total:,} {unit}, {pace:,.1f}/s"
            say(f"{title}: {numbers}{', ' + note if note else ''}")
        due = now + (BAR_EVERY_SECONDS if is_terminal else PLAIN_EVERY_SECONDS)

    with bar if is_terminal else nullcontext():
        yield advance


def say(line: str) -> None:
    """Print a message on stderr, so that stdout holds results only; a closed stderr is ignored."""
    with suppress(OSError):
        print("\n".join(map(printable, line.split("\n"))), file=sys.stderr, flush=True)


def wrote(*files: Path, then: str = "", on: object = "") -> None:
    """Say which of these files a command wrote, and what to type next, on which folder or file: the last lines."""
    with suppress(OSError):
        sys.stdout.flush()
    say(f"Wrote {', '.join(str(file) for file in files if file.exists())}.")
    if then:
        say(f"Next: {then}{f' {quote(str(on))}' if on else ''}")


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 epoch`, `1,200 epochs`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def first_few(items: Collection[str], most: int = 5, *, between: str = ", ") -> str:
    """The first items, and how many more there are."""
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return between.join(islice(items, most)) + more


def duration(seconds: float | None) -> str:
    """Seconds in words: `3 d 4 h`, `2 h 5 min`, `7 min`, `40 s`."""
    if seconds is None:
        return "unknown time"
    minutes, hours, days = (int(seconds / unit) for unit in (60, 3600, 86_400))
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"
