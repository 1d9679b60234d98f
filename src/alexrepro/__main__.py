"""The program: runs the command line; an error takes two lines on stderr and an exit code."""

import atexit
import os
import re
import signal
import sys
from pathlib import Path

from alexrepro.cli.app import app
from alexrepro.cli.failures import as_user_error
from alexrepro.cli.renamed import refuse_renamed
from alexrepro.cli.streams import close_streams, open_streams
from alexrepro.errors import STOPPING, UserError
from alexrepro.files import printable
from alexrepro.progress import say

HOME = re.compile(r"^(--[\w-]+=)?~(?=/|$)")  # which shells leave in quotes and in --out=~/stores


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
            Path.cwd()  # raises if it was deleted: MKL, which torch loads, would end the program
            words = [HOME.sub(lambda found: f"{found[1] or ''}{Path.home()}", word) for word in sys.argv[1:]]
            app(refuse_renamed(words))
        finally:
            close_streams()
    except (OSError, UnicodeEncodeError, MemoryError, UserError) as error:
        found = as_user_error(error)
        say(f"alexrepro: {printable(found.what)}\n{printable(found.fix)}")
        sys.exit(int(found.exit_code))
    finally:
        atexit.register(_end_quietly)


def _end_quietly() -> None:
    """Ignore signals while the interpreter exits: everything is written by then."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
