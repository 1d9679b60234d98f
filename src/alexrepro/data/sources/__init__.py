"""Where images are: one small file per layout, and one function that recognizes which."""

from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from alexrepro.data.sources import (
    arrow,
    cifar,
    class_tars,
    folders,
    ilsvrc,
    kaggle,
    parquet,
    tiny_imagenet,
    webdataset,
)
from alexrepro.data.sources.hints import nested, unrecognized
from alexrepro.data.sources.not_folders import is_there, missing, not_a_folder
from alexrepro.data.sources.source import Source
from alexrepro.errors import Exit, UserError
from alexrepro.progress import say

LAYOUTS: dict[str, ModuleType] = {
    "ilsvrc": ilsvrc,
    "kaggle": kaggle,
    "tiny-imagenet-200": tiny_imagenet,
    "cifar10": cifar,
    "parquet": parquet,
    "arrow": arrow,
    "webdataset": webdataset,
    "class-tars": class_tars,
    "folders": folders,
}
SPECIAL = ("ilsvrc", "tiny-imagenet-200")  # their class folders are part of them


def recognize(path: Path, *, layout: str | None = None) -> Source:
    """The source at a path, by what lies there or by the named layout; says which.

    ILSVRC and Tiny-ImageNet-200 have class folders, too; what else they have decides. Raises UserError if nothing or
    more than one layout fits, or the named one does not.
    """
    if not is_there(path):
        raise missing(path)
    if not path.is_dir() and path.suffix.lower() != ".zip":
        raise not_a_folder(path, fitting)
    if layout is not None and layout not in LAYOUTS:
        raise UserError(f"There is no layout {layout}.", fix=f"Use {', '.join(LAYOUTS)}.", exit_code=Exit.USAGE)
    possible = [name for name in LAYOUTS if layout in (None, name) and (path.is_dir() or name == "kaggle")]
    found = fitting(path, possible)
    if len(found) > 1:
        raise UserError(
            f"{path} could be read as {' or as '.join(found)}.",
            fix=f"Choose one with: --layout {found[0]}.",
            exit_code=Exit.USAGE,
        )
    if not found and layout and (others := fitting(path)):
        raise UserError(
            f"{path} is not in the layout {layout}, but looks like {' or '.join(others)}.",
            fix="Leave out --layout, or name that one.",
            exit_code=Exit.USAGE,
        )
    if not found:
        raise unrecognized(path, fitting)
    try:
        source: Source = cifar.named(LAYOUTS[found[0]].read(path))
    except UserError:
        if found == ["folders"] and (refusal := nested(path, fitting)):
            raise refusal from None
        raise
    splits = ", ".join(f"{split.name} {len(split.photos):,}" for split in source.splits)
    say(f"{path} is read as {found[0]}: {source.dataset}, {len(source.classes):,} classes, {splits}.")
    return source


def fitting(path: Path, layouts: Iterable[str] = LAYOUTS) -> list[str]:
    """Which of the layouts fit a path; what cannot be listed fits none."""
    try:
        found = [name for name in layouts if LAYOUTS[name].fits(path)]
    except OSError:
        return []
    return found[:1] if found[:1] and found[0] in SPECIAL else found
