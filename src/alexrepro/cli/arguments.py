"""The arguments of the program: `~` stands for the home folder, and all of them are text."""

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from alexrepro.errors import Exit, UserError

HOME = re.compile(r"(--[\w-]+=)?((~[^/]*).*)", re.DOTALL)


def read_arguments(arguments: Iterable[str]) -> list[str]:
    """The arguments with `~` and `~user` replaced where shells leave them: in quotes and in `--out=~/stores`.

    Raises UserError if the home folder is not known, or for an argument that is not text: files record these.
    """
    read = list(arguments)
    for argument in read:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise not_text(argument) from None
    return [_with_home(argument) for argument in read]


def not_text(name: str) -> UserError:
    """The error for a name with bytes that are no characters."""
    return UserError(
        f"{name} has bytes that are not text in {sys.getfilesystemencoding()}, the encoding of file names here.",
        fix="Rename the file or folder, or set LC_ALL=C.UTF-8 if its name is UTF-8.",
        exit_code=Exit.USAGE,
    )


def name_around(text: str, place: int) -> str:
    """The path or name in a text that has the character at a place; in JSON and CSV, quotes and lines end it."""
    return re.split(r'["\n]', text[:place])[-1] + re.split(r'["\n]', text[place:])[0]


def _with_home(argument: str) -> str:
    found = HOME.fullmatch(argument)
    if found is None or (found[3] != "~" and Path(found[2]).exists()):  # a file may be named ~x
        return argument
    path = os.path.expanduser(found[2])  # noqa: PTH111 - Path.expanduser raises where this leaves the path as it is
    if path.startswith("~"):
        whose = f"of {found[3][1:]} is" if found[3] != "~" else "is"
        raise UserError(
            f"{found[2]} cannot be found: the home folder {whose} not known.",
            fix="Type the path in full, or ./~NAME for a name that begins with ~.",
            exit_code=Exit.MISSING_INPUT,
        )
    return (found[1] or "") + path
