"""Where images are: the layouts, and one function that recognizes which it is."""

import errno
import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from alexrepro.data.sources import class_folders, ilsvrc, kaggle, small_sets, table_files, webdataset
from alexrepro.data.sources.advice import nested, no_input, not_a_folder, unrecognized
from alexrepro.data.sources.source import Source, named_if_partial
from alexrepro.data.sources.walk import names_in
from alexrepro.errors import Exit, UserError
from alexrepro.progress import first_few, say


class Layout(NamedTuple):
    """A layout: its name, whether it fits a path, and how the images at one are listed."""

    name: str
    fits: Callable[[Path], bool]
    read: Callable[[Path], Source]


LAYOUTS = (
    Layout("ilsvrc", ilsvrc.fits, ilsvrc.read),
    Layout("kaggle", kaggle.fits, kaggle.read),
    Layout("tiny-imagenet-200", small_sets.fits_tiny, small_sets.read_tiny),
    Layout("cifar10", small_sets.fits_cifar, small_sets.read_cifar),
    Layout("parquet", partial(table_files.fits, suffix=".parquet"), partial(table_files.read, suffix=".parquet")),
    Layout("arrow", partial(table_files.fits, suffix=".arrow"), partial(table_files.read, suffix=".arrow")),
    Layout("webdataset", webdataset.fits, webdataset.read),
    Layout("class-tars", class_folders.fits_tars, class_folders.read),
    Layout("folders", class_folders.fits, class_folders.read),
)
NAMES = tuple(layout.name for layout in LAYOUTS)
WITH_CLASS_FOLDERS = ("ilsvrc", "tiny-imagenet-200")  # they have class folders, too, but what else they have decides

URL = re.compile(r"([a-z][a-z0-9+.-]*):/+(.+)", re.IGNORECASE)
WORDS = ("miniature", "cifar10")  # what may be typed instead of a path


def recognize(path: Path, *, layout: str | None = None) -> Source:
    """The source at a path, by what lies there or by the named layout; says which.

    Raises UserError if nothing or more than one layout fits, or the named one does not.
    """
    if not _is_there(path):
        raise _missing(path)
    if not path.is_dir() and path.suffix.lower() != ".zip":
        raise not_a_folder(path, fitting)
    if layout is not None and layout not in NAMES:
        raise UserError(f"There is no layout {layout}.", fix=f"Use {', '.join(NAMES)}.", exit_code=Exit.USAGE)
    found = fitting(path, [name for name in NAMES if layout in (None, name) and (path.is_dir() or name == "kaggle")])
    if len(found) > 1:
        raise UserError(
            f"{path} could be read as {' or as '.join(found)}.",
            fix=f"Choose one with: --layout {found[0]}.", exit_code=Exit.USAGE,
        )  # fmt: skip
    if not found and layout and (others := fitting(path)):
        raise UserError(
            f"{path} is not in the layout {layout}, but looks like {' or '.join(others)}.",
            fix="Leave out --layout, or name that one.", exit_code=Exit.USAGE,
        )  # fmt: skip
    if not found:
        raise unrecognized(path, fitting)
    try:
        source = named_if_partial(small_sets.named(LAYOUTS[NAMES.index(found[0])].read(path)))
    except UserError:
        if found == ["folders"] and (error := nested(path, fitting)):
            raise error from None
        raise
    splits = ", ".join(f"{split.name} {len(split.images):,}" for split in source.splits)
    say(f"{path} is read as {found[0]}: {source.dataset}, {len(source.classes):,} classes, {splits}.")
    return source


def fitting(path: Path, names: Iterable[str] = NAMES) -> list[str]:
    """The layouts that fit a path; none fits what cannot be listed."""
    try:
        found = [layout.name for layout in LAYOUTS if layout.name in names and layout.fits(path)]
    except OSError:
        return []
    return found[:1] if found[:1] and found[0] in WITH_CLASS_FOLDERS else found


def _is_there(path: Path) -> bool:
    """Whether something is at a path; not if its name is too long to be one."""
    try:
        return path.exists()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False


def _missing(path: Path) -> UserError:
    """The error for a path at which there is nothing, with the name that may have been meant."""
    if url := URL.fullmatch(str(path)):
        return no_input(f"{url[1]}://{url[2]} is a URL, and images are read from a local disk.",
                         "Copy the data to a folder first, and prepare that folder.")  # fmt: skip
    first = next(part for part in (path, *path.parents) if _is_there(part.parent) or part == part.parent)
    names = names_in(first.parent)
    if first == path and path.name in names:
        gone = f"{path} is a link to {path.readlink()}, which is not there."
        return no_input(gone, "Mount that disk, or link anew.")
    by_lower = {name.lower(): name for name in reversed(names)}
    meant = [str(Path("/") / path)] if _is_there(Path("/") / path) else []
    meant += [str(first.parent / by_lower[near]) for near in get_close_matches(first.name.lower(), by_lower, n=1)]
    meant += get_close_matches(str(path).lower(), WORDS, n=1)
    if meant:
        return no_input(f"{path} is not there.", f"Did you mean: alexrepro prepare {quote(meant[0])}")
    holds = f"; {first.parent} holds {first_few(names)}" if names else ""
    return no_input(f"{path} is not there{holds}.", "Check the name, and that its disk is mounted.")
