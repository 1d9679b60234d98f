"""The program: runs the command line; an error takes two lines on stderr and an exit code."""

import atexit
import errno
import logging
import os
import re
import signal
import sys
from pathlib import Path

from alexrepro.cli.app import app
from alexrepro.cli.renamed import refuse_renamed
from alexrepro.cli.streams import close_streams, open_streams
from alexrepro.errors import STOPPING, Exit, UserError
from alexrepro.files import printable
from alexrepro.progress import say

ADVICE = {
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG): (
        Exit.IO_ERROR,
        "Free some space, or raise the quota or limit, and run the same command again; finished work is kept.",
    ),
    (errno.EACCES, errno.EPERM): (Exit.NO_PERMISSION, "Choose another folder, or change its permissions."),
    (errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG): (
        Exit.CANNOT_CREATE,
        "Choose a folder on a disk that can be written, and a short name that nothing else has.",
    ),
    (errno.ENOENT,): (
        Exit.MISSING_INPUT,
        "Check the path, the current folder and TMPDIR; one may have been removed meanwhile.",
    ),
    (errno.EMFILE,): (Exit.BAD_CONFIG, "Raise the limit on open files, for example with: ulimit -n 4096"),
}
OTHER = (Exit.IO_ERROR, "See whether the disk or the network fails, then run the same command again.")
HOME = re.compile(r"^(--[\w-]+=)?~(?=/|$)")  # which shells leave in quotes and in --out=~/stores


def main() -> None:
    """Run the command line; a UserError becomes two lines on stderr and its exit code."""
    # Compiled loops bring a second thread pool. Threads that spin while they wait take the cores from the first one and
    # from the loader, which made training ten times slower; torch reads this when it is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # errors take two lines, without C++ stacks
    os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")  # Triton 3.9 warns unless one is chosen
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # warns of a CUDA toolkit without a GPU
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
        found = _as_user_error(error)
        say(f"alexrepro: {printable(found.what)}\n{printable(found.fix)}")
        sys.exit(int(found.exit_code))
    finally:
        atexit.register(_end_quietly)


def _as_user_error(error: OSError | UnicodeEncodeError | MemoryError | UserError) -> UserError:
    """What disk, memory or encoding do not allow, as an error that says what to do."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return UserError("Memory ran out.", fix="Free some, or use fewer processes.", exit_code=Exit.OUT_OF_MEMORY)
    if isinstance(error, OSError):
        exit_code, fix = next((advice for numbers, advice in ADVICE.items() if error.errno in numbers), OTHER)
        about = f": {error.filename}" if error.filename is not None else ""
        return UserError(f"{error.strerror or error}{about}.", fix=fix, exit_code=exit_code)
    return UserError(
        f"{str(error.object)[: error.end][-60:]} has bytes that are not text, perhaps in a name.",
        fix="Rename the file or folder, or set LC_ALL=C.UTF-8 if its name is UTF-8.",
        exit_code=Exit.USAGE,
    )


def _end_quietly() -> None:
    """Ignore signals while the interpreter exits: everything is written by then."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
