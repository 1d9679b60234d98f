"""`alexrepro watch`: a run in progress, live on a terminal."""

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.text import Text

from alexrepro.cli.choose import choose_run
from alexrepro.cli.options import RUNS, Runs
from alexrepro.cli.show import print_text

REFRESH_SECONDS = 5.0


def watch(
    run: Annotated[Path | None, typer.Argument(help="Run folder. Default: the newest run in --runs.")] = None,
    runs: Runs = RUNS,
    once: Annotated[bool, typer.Option("--once", help="Print the status once and exit.")] = False,
) -> None:
    """Watch a run while it trains.

    Shows the loss curve, learning rate, images per second, time left and last validation from the run's metrics, and
    changes nothing. Ends when the run is complete or has stopped; Ctrl-C stops watching, and the run continues. Prints
    the status once if stdout is not a terminal.

    Example:  alexrepro watch --once
    """
    from alexrepro.reports.figures.curves import snapshot

    chosen = choose_run(run, runs=runs, is_live=True)
    now = snapshot(chosen)
    if once or now.has_ended or not sys.stdout.isatty():
        print_text("\n".join(now.lines))
        return
    with suppress(KeyboardInterrupt), Live(Text("\n".join(now.lines)), auto_refresh=False) as live:
        while not now.has_ended:
            time.sleep(REFRESH_SECONDS)
            now = snapshot(chosen)
            live.update(Text("\n".join(now.lines)), refresh=True)
