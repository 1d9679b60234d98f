"""The program: runs the command line; an error takes two lines on stderr and an exit code."""

import atexit
import os
import signal
import sys

from alexrepro.cli.app import app
from alexrepro.cli.arguments import read_arguments
from alexrepro.cli.failures import as_user_error, check_folder
from alexrepro.cli.renamed import refuse_renamed
from alexrepro.cli.terminal import close_streams, open_streams
from alexrepro.errors import STOPPING, UserError
from alexrepro.files import printable
from alexrepro.progress import say


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
    except UserError as error:
        _end(error)
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


def _end(error: UserError) -> None:
    say(f"alexrepro: {printable(error.what)}\n{printable(error.fix)}")
    sys.exit(int(error.exit_code))


if __name__ == "__main__":
    main()
