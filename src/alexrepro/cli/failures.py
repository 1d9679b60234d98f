"""What disk, memory, encoding or installation do not allow, as an error that says what to do."""

import errno
from pathlib import Path

from alexrepro.cli.arguments import name_around, not_text
from alexrepro.errors import Exit, UserError

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


def as_user_error(error: Exception) -> UserError | None:
    """The error to show if disk, memory, encoding or installation caused it; None for a bug of the program."""
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


def check_folder() -> None:
    """Raise UserError if the current folder was deleted: MKL, which torch loads, would end the program."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UserError(
            "The current folder is not there any more.",
            fix="Change to another folder, and run the same command again.",
            exit_code=Exit.MISSING_INPUT,
        ) from None
