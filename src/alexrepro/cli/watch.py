"""`alexrepro watch`: a run in progress, live on a terminal."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from alexrepro.cli.choose import choose_run
from alexrepro.cli.options import RUNS, Runs

if TYPE_CHECKING:
    from alexrepro.reports.figures.curves import Snapshot

LIVE_SECONDS, PLAIN_SECONDS = 5.0, 30.0  # between two refreshes


def watch(
    run: Annotated[Path | None, typer.Argument(help="Run folder. Default: the newest run under --runs.")] = None,
    runs: Runs = RUNS,
    once: Annotated[bool, typer.Option("--once", help="Print the status once and exit.")] = False,
) -> None:
    """Watch a run while it trains.

    Shows the loss curve, learning rate, images per second, time left and last validation from the run's metrics, and
    changes nothing. Ends when the run is complete; Ctrl-C stops watching, and the run continues.

    Example:  alexrepro watch --once
    """
    from alexrepro.reports.figures.curves import snapshot

    chosen = choose_run(run, runs=runs)
    now = snapshot(chosen)
    if once or now.is_complete:
        print("\n".join(now.lines))
        return
    try:
        _follow(lambda: snapshot(chosen))
    except KeyboardInterrupt:
        sys.exit(0)


def _follow(look: Callable[[], "Snapshot"]) -> None:
    """A live display on a terminal, a line now and then anywhere else, until the run is complete."""
    now = look()
    if sys.stdout.isatty():
        with Live(_text(now), console=Console(), auto_refresh=False) as live:
            while not now.is_complete:
                time.sleep(LIVE_SECONDS)
                now = look()
                live.update(_text(now), refresh=True)
        return
    print(now.lines[-1], flush=True)
    while not now.is_complete:
        time.sleep(PLAIN_SECONDS)
        now = look()
        print(now.lines[-1], flush=True)


def _text(now: "Snapshot") -> Text:
    return Text("\n".join(now.lines))
