"""Progress of long work on stderr: a live line on a terminal, otherwise a line from time to time."""

import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from shlex import quote

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.text import Text

from alexrepro.files import printable

FIRST_AFTER_SECONDS, EVERY_SECONDS = 1.0, 5.0  # of plain lines; shorter work needs none
BAR_WIDTH, WIDE = 20, 100  # columns of a bar, and of a terminal with room for it

Advance = Callable[..., None]  # called with newly finished items, 1 by default, and a note such as "loss 4.31"


@dataclass
class Work:
    """How many of some items are finished, after `done` at the moment `started`, in seconds."""

    title: str
    total: int | None
    unit: str
    done: int
    started: float
    finished: int
    note: str = ""

    def line(self, now: float, width: int) -> str:
        """Count, pace, note, time used and time left; without the less needed of them where the width is small."""
        seconds = now - self.started
        pace = (self.finished - self.done) / max(seconds, 1e-9)
        left = "" if self.total is None or not pace else f"{duration((self.total - self.finished) / pace)} left"
        count = f"{self.finished:,}" + (f" {self.unit}" if self.total is None else f"/{self.total:,}")
        rate, brief = f"{pace:,.{0 if pace >= 100 else 1 if pace >= 0.1 else 2}f}", self.note.partition(" (")[0]
        line = ""
        unit = "" if self.total is None else f" {self.unit}"
        for of, note in ((unit, self.note), (unit, brief), ("", brief), ("", "")):
            parts = (count, f"{rate}{of}/s", note, f"after {duration(seconds)}", left)
            line = f"{self.title}: {', '.join(filter(None, parts))}"
            if len(line) <= width:
                break
        return line


class _Line(ProgressColumn):
    """The line of a work, as wide as the bar leaves it."""

    def __init__(self, work: Work, console: Console, *, beside: int) -> None:
        super().__init__()
        self.work, self.console, self.beside = work, console, beside

    def render(self, _: Task) -> Text:
        return Text(self.work.line(time.monotonic(), self.console.width - self.beside), no_wrap=True)


@contextmanager
def progress(title: str, *, total: int | None, done: int = 0, unit: str = "images") -> Iterator[Advance]:
    """Show how many of the items are finished, or only how many are found if the total is unknown (None)."""
    if total == done:
        yield lambda *_: None
        return
    is_terminal, console = sys.stderr.isatty(), Console(stderr=True)
    work = Work(title, total, unit, done, time.monotonic(), done)
    bars = [BarColumn(BAR_WIDTH)] if total is not None and console.width >= WIDE else []
    line = _Line(work, console, beside=(BAR_WIDTH + 1) * len(bars))
    live = Progress(*bars, line, console=console, transient=total is None)
    task = live.add_task("", total=total, completed=done)
    due = work.started + FIRST_AFTER_SECONDS

    def advance(count: int = 1, note: str = "") -> None:
        nonlocal due
        work.finished, work.note = work.finished + count, note
        if is_terminal:
            live.update(task, completed=work.finished)
        elif (now := time.monotonic()) >= due or work.finished == total:
            say(work.line(now, sys.maxsize))
            due = now + EVERY_SECONDS

    with live if is_terminal else nullcontext():
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
