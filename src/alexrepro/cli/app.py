"""The program `alexrepro`: its commands in four panels, and errors as two lines with an exit code."""

import errno
import os
import sys
from importlib.metadata import version
from io import TextIOWrapper

import typer

from alexrepro.cli.ablate import ablate
from alexrepro.cli.bench import bench
from alexrepro.cli.convert import convert
from alexrepro.cli.describe import describe
from alexrepro.cli.doctor import doctor
from alexrepro.cli.evaluate import evaluate
from alexrepro.cli.facts import facts
from alexrepro.cli.features import features
from alexrepro.cli.predict import predict
from alexrepro.cli.prepare import prepare
from alexrepro.cli.recipes import recipes
from alexrepro.cli.report import report
from alexrepro.cli.train import train
from alexrepro.cli.watch import watch
from alexrepro.errors import Exit, Refusal
from alexrepro.progress import say

NEEDS_A_FOLDER = (Exit.CANNOT_CREATE, "Choose a folder; a file is in the way.")
NO_PERMISSION = (Exit.NO_PERMISSION, "Choose another folder, or change its permissions.")
DISK_ERRORS = {
    errno.ENOSPC: (Exit.IO_ERROR, "Free some space and run the same command again; finished work is kept."),
    errno.EFBIG: (
        Exit.IO_ERROR,
        "Raise the limit on file sizes and run the same command again; finished work is kept.",
    ),
    errno.EDQUOT: (Exit.IO_ERROR, "Free some of your quota and run the same command again; finished work is kept."),
    errno.EACCES: NO_PERMISSION,
    errno.EPERM: NO_PERMISSION,
    errno.EROFS: (Exit.CANNOT_CREATE, "Choose a folder on a disk that can be written."),
    errno.ENOTDIR: NEEDS_A_FOLDER,
    errno.EEXIST: NEEDS_A_FOLDER,
    errno.EISDIR: (Exit.CANNOT_CREATE, "Choose a file instead of a folder."),
    errno.ENAMETOOLONG: (Exit.CANNOT_CREATE, "Choose a shorter name."),
    errno.ENOENT: (Exit.MISSING_INPUT, "Check the path; the file may have been removed meanwhile."),
    errno.EMFILE: (Exit.IO_ERROR, "Raise the limit on open files, for example with: ulimit -n 4096"),
}
OTHER_ERROR = (Exit.IO_ERROR, "See whether the disk or the network fails, then run the same command again.")

app = typer.Typer(
    name="alexrepro",
    help="Reproduce the 2012 AlexNet paper: every table, figure and ablation beside what was measured.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(rich_help_panel="Reproduce")(prepare)
app.command(rich_help_panel="Reproduce")(train)
app.command(rich_help_panel="Reproduce")(watch)
app.command(rich_help_panel="Reproduce")(evaluate)
app.command(rich_help_panel="Reproduce")(ablate)
app.command(rich_help_panel="Reproduce")(features)
app.command(rich_help_panel="Reproduce")(report)
app.command(rich_help_panel="Understand")(facts)
app.add_typer(recipes, name="recipes", rich_help_panel="Understand")
app.command(rich_help_panel="Understand")(describe)
app.command(rich_help_panel="Use")(predict)
app.command(rich_help_panel="Use")(convert)
app.command(rich_help_panel="Check")(doctor)
app.command(rich_help_panel="Check")(bench)


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
    """Run the command line; a Refusal becomes two lines on stderr and its exit code."""
    # Compiled loops bring a pool of threads of their own. Threads that spin while they wait take the processors from
    # the other pool and from the feed, which made training ten times slower; torch reads this when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # whatever a terminal cannot show is spelled out
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except Refusal as refusal:
        _end(refusal)
    except MemoryError:
        _end(Refusal("Memory ran out.", fix="Free some, or use fewer processes.", exit_code=Exit.OUT_OF_MEMORY))
    except OSError as error:
        if error.errno is None:
            raise
        exit_code, fix = DISK_ERRORS.get(error.errno, OTHER_ERROR)
        where = f": {error.filename}" if error.filename else ""
        _end(Refusal(f"{error.strerror}{where}.", fix=fix, exit_code=exit_code))


def _end(refusal: Refusal) -> None:
    say(f"alexrepro: {refusal.what}\n{refusal.fix}")
    sys.exit(int(refusal.exit_code))
