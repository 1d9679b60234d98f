"""What disk, memory or encoding do not allow, as an error that says what to do."""

import errno

from alexrepro.errors import Exit, UserError

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


def as_user_error(error: OSError | UnicodeEncodeError | MemoryError | UserError) -> UserError:
    """The error to show."""
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
