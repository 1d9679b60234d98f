"""The program `alexrepro`: its commands in four panels, and errors as two lines with an exit code."""

import atexit
import os
import signal
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import typer

from alexrepro.cli.ablate import ablate
from alexrepro.cli.bench import bench
from alexrepro.cli.compare import compare
from alexrepro.cli.convert import convert
from alexrepro.cli.describe import describe
from alexrepro.cli.doctor import doctor
from alexrepro.cli.evaluate import evaluate
from alexrepro.cli.facts import facts
from alexrepro.cli.failures import as_user_error, check_folder
from alexrepro.cli.features import features
from alexrepro.cli.predict import predict
from alexrepro.cli.prepare import prepare
from alexrepro.cli.recipes import recipes
from alexrepro.cli.renamed import refuse_renamed
from alexrepro.cli.report import report
from alexrepro.cli.submission import score, submit
from alexrepro.cli.terminal import close_streams, open_streams, read_arguments
from alexrepro.cli.train import train
from alexrepro.cli.verify import verify
from alexrepro.cli.watch import watch
from alexrepro.errors import STOPPING, UserError
from alexrepro.files import printable
from alexrepro.progress import say

app = typer.Typer(
    name="alexrepro",
    help="Reproduce the 2012 AlexNet paper: every table, figure and ablation next to our measurement.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
PANELS: dict[str, list[Callable[..., Any]]] = {
    "Reproduce": [prepare, train, watch, evaluate, compare, ablate, features, report],
    "Understand": [facts, describe],
    "Use": [predict, convert, submit, score],
    "Check": [doctor, verify, bench],
}
for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(recipes, name="recipes", rich_help_panel="Understand")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"alexrepro {version('alexrepro')}")
        raise typer.Exit


@app.callback()
def _program(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def main() -> None:
    """Run the command line; a UserError becomes two lines on stderr and its exit code."""
    # Compiled loops bring a second thread pool. Threads that spin while they wait take the cores from the first one and
    # from the loader, which made training ten times slower; torch reads this when it is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # errors take two lines, without C++ stacks
    os.environ["MPLBACKEND"] = "agg"  # a notebook's backend may not be installed here
    open_streams()
    try:
        try:
            check_folder()
            app(args=refuse_renamed(read_arguments(sys.argv[1:])))
        finally:
            close_streams()
    except UserError as refusal:
        _end(refusal)
    except (OSError, UnicodeEncodeError, ImportError, MemoryError) as error:
        found = as_user_error(error)
        if found is None:
            raise
        _end(found)
    finally:
        atexit.register(_end_quietly)


def _end_quietly() -> None:
    """Ignore signals while the interpreter exits: everything is written by then."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def _end(refusal: UserError) -> None:
    say(f"alexrepro: {printable(refusal.what)}\n{printable(refusal.fix)}")
    sys.exit(int(refusal.exit_code))
