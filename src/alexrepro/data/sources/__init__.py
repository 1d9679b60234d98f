"""Where images are: the layouts, and one function that recognizes which it is."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from alexrepro.data.sources import class_folders, ilsvrc, kaggle, small_sets, table_files, webdataset
from alexrepro.data.sources.advice import is_there, missing, nested, not_a_folder, unrecognized
from alexrepro.data.sources.source import Source
from alexrepro.errors import Exit, UserError
from alexrepro.progress import say


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


def recognize(path: Path, *, layout: str | None = None) -> Source:
    """The source at a path, by what lies there or by the named layout; says which.

    Raises UserError if nothing or more than one layout fits, or the named one does not.
    """
    if not is_there(path):
        raise missing(path)
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
        source = small_sets.named(LAYOUTS[NAMES.index(found[0])].read(path))
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
