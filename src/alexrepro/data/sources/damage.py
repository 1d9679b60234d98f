"""Why a tar cannot be read, in words: compressed, cut short or damaged, and what to type next."""

import tarfile
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from alexrepro.data.sources.packed import PACKINGS, content
from alexrepro.errors import Exit, UserError


class CutShort(tarfile.ReadError):
    """The archive ends before the mark of its end."""


def damaged(files: Sequence[Path], size: int, why: Exception, *, within: str = "") -> UserError:
    """The refusal of a tar, in its parts, that cannot be listed to its end.

    size: bytes of all parts. within: the member that is the tar, if it is not the whole.
    """
    file, last = files[0], files[-1]
    is_cut, found = isinstance(why, CutShort), content(file)
    again = "Download it again."
    if within:
        what = f"is cut short: it ends {why}" if is_cut else f"is damaged: {why}"
        return UserError(f"{within} in {file} {what}.", fix=again, exit_code=Exit.BAD_DATA)
    if packing := next((packing for packing in PACKINGS if packing.name == found), None):
        renamed = quote(f"{file}{packing.suffixes[0]}")
        what, fix = f"{file} is compressed with {found} in spite of its name", f"mv {quote(str(file))} {renamed} && "
        return UserError(f"{what}.", fix=f"Unpack it: {fix}{packing.command} {renamed}", exit_code=Exit.BAD_DATA)
    if found in {"empty", "web page", "Git LFS pointer"}:
        return UserError(f"{file} is {'a ' * (found != 'empty')}{found}, not a tar archive.", fix=again,
                       exit_code=Exit.BAD_DATA)  # fmt: skip
    if is_cut:
        mark = "" if "within" in str(why) else f" If it is whole, write the mark: truncate -s +1K {quote(str(last))}"
        check = f", and compare its size: alexrepro verify {quote(str(file.parent))} --quick" * ("ILSVRC" in file.name)
        more = f", or add the parts after {last.name}" if len(files) > 1 else ""
        return UserError(
            f"{last} is cut short: the archive ends at byte {size:,} {why}.",
            fix=f"Continue the download, for example with wget -c{more}{check}.{mark}",
            exit_code=Exit.BAD_DATA,
        )
    if len(files) > 1:
        again = f"Check that {file.name} to {last.name} are whole and of one download."
    return UserError(f"{file} is damaged or no tar archive: {why}.", fix=again, exit_code=Exit.BAD_DATA)
