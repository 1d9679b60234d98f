"""The program `alexrepro`: its commands in four panels, and errors as two lines with an exit code."""

import atexit
import errno
import os
import signal
import sys
from importlib.metadata import version
from pathlib import Path

import typer

from alexrepro.cli.ablate import ablate
from alexrepro.cli.bench import bench
from alexrepro.cli.compare import compare
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
from alexrepro.cli.submission import score, submit
from alexrepro.cli.terminal import close_streams, name_around, not_text, open_streams, read_arguments
from alexrepro.cli.train import train
from alexrepro.cli.watch import watch
from alexrepro.errors import STOPPING, Exit, UserError
from alexrepro.progress import say, visible

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
    errno.EMFILE: (Exit.BAD_CONFIG, "Raise the limit on open files, for example with: ulimit -n 4096"),
    errno.ENOMEM: (Exit.OUT_OF_MEMORY, "Free some memory, or allow the program more of it."),
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
app.command(rich_help_panel="Reproduce")(compare)
app.command(rich_help_panel="Reproduce")(ablate)
app.command(rich_help_panel="Reproduce")(features)
app.command(rich_help_panel="Reproduce")(report)
app.command(rich_help_panel="Understand")(facts)
app.add_typer(recipes, name="recipes", rich_help_panel="Understand")
app.command(rich_help_panel="Understand")(describe)
app.command(rich_help_panel="Use")(predict)
app.command(rich_help_panel="Use")(convert)
app.command(rich_help_panel="Use")(submit)
app.command(rich_help_panel="Use")(score)
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
    """Run the command line; a UserError becomes two lines on stderr and its exit code."""
    # Compiled loops bring a pool of threads of their own. Threads that spin while they wait take the processors from
    # the other pool and from the feed, which made training ten times slower; torch reads this when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # what fails is said in two lines, without stacks of C++
    os.environ["MPLBACKEND"] = "agg"  # a notebook's backend may not be installed here, and nothing is shown
    open_streams()
    try:
        try:
            _refuse_deleted_folder()
            app(args=read_arguments(sys.argv[1:]))
        finally:
            close_streams()
    except UserError as refusal:
        _end(refusal)
    except (OSError, UnicodeEncodeError, ImportError, MemoryError) as error:
        found = _of_system(error)
        if found is None:
            raise
        _end(found)
    finally:
        atexit.register(_end_quietly)


def _end_quietly() -> None:
    """Leave signals to nobody while the interpreter ends: what is to be said and saved has been."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def _refuse_deleted_folder() -> None:
    """Raise UserError if the current folder was deleted: MKL, which torch loads, would end the program."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UserError(
            "The current folder is not there any more.",
            fix="Change to another folder, and run the same command again.",
            exit_code=Exit.MISSING_INPUT,
        ) from None


def _of_system(error: Exception) -> UserError | None:
    """The refusal of what disk, memory or encoding do not allow; None for what is a fault of the program."""
    if isinstance(error, OSError):
        exit_code, fix = DISK_ERRORS.get(error.errno or 0, OTHER_ERROR)
        if "temporary directory" in str(error):
            exit_code, fix = Exit.CANNOT_CREATE, "Set TMPDIR to a folder that can be written."
        about = f": {error.filename}" if error.filename is not None else ""
        return UserError(f"{error.strerror or error}{about}.", fix=fix, exit_code=exit_code)
    if isinstance(error, UnicodeEncodeError):  # of a path below the current folder, which may have such a name too
        return not_text(name_around(str(error.object), error.start))
    if isinstance(error, MemoryError):
        return UserError("Memory ran out.", fix="Free some, or use fewer processes.", exit_code=Exit.OUT_OF_MEMORY)
    if ".so" in str(error):
        what = f"A library cannot be loaded: {str(error).partition(chr(10))[0]}."
        return UserError(what, fix="Allow the program more memory (ulimit -v), or install it anew: make setup.")
    return None


def _end(refusal: UserError) -> None:
    say(f"alexrepro: {visible(refusal.what)}\n{visible(refusal.fix)}")
    sys.exit(int(refusal.exit_code))
