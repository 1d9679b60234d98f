"""Where images are: one small file per layout, and one function that recognises which."""

import re
from pathlib import Path
from types import ModuleType

from alexrepro.data.sources import cifar, folders, ilsvrc, kaggle, parquet, tiny_imagenet, webdataset
from alexrepro.data.sources.source import Source
from alexrepro.errors import Exit, Refusal
from alexrepro.progress import say

LAYOUTS: dict[str, ModuleType] = {
    "ilsvrc": ilsvrc,
    "kaggle": kaggle,
    "tiny-imagenet-200": tiny_imagenet,
    "cifar10": cifar,
    "parquet": parquet,
    "webdataset": webdataset,
    "folders": folders,
}
SPECIAL = ("ilsvrc", "tiny-imagenet-200")  # their class folders are part of them
TFRECORD = re.compile(r"tfrecord|-\d{5}-of-\d{5}$")
NOT_READ = {
    ".rec": "MXNet RecordIO",
    ".beton": "FFCV",
    ".mdb": "LMDB",
    ".hdf5": "HDF5",
    ".zip": "zip archive",
}


def recognise(path: Path, *, layout: str | None = None) -> Source:
    """The source at a path, by what lies there or by the named layout; says which.

    ILSVRC and Tiny-ImageNet-200 have class folders, too; what else they have decides. Raises Refusal if nothing or
    more than one layout fits, or the named one does not.
    """
    if not path.exists():
        raise Refusal(f"{path} is not there.", fix="Check the name.", exit_code=Exit.MISSING_INPUT)
    if path.is_file() and path.suffix.lower() != ".zip":
        raise Refusal(
            f"{path} is not a folder.", fix="Name the folder that holds the images.", exit_code=Exit.MISSING_INPUT
        )
    if layout is not None and layout not in LAYOUTS:
        raise Refusal(f"There is no layout {layout}.", fix=f"Use {', '.join(LAYOUTS)}.", exit_code=Exit.USAGE)
    possible = [name for name in LAYOUTS if layout in (None, name) and (path.is_dir() or name == "kaggle")]
    fitting = [name for name in possible if LAYOUTS[name].fits(path)]
    if fitting[:1] and fitting[0] in SPECIAL:
        fitting = fitting[:1]
    if len(fitting) > 1:
        raise Refusal(
            f"{path} could be read as {' or as '.join(fitting)}.",
            fix=f"Choose one with: --layout {fitting[0]}.",
            exit_code=Exit.USAGE,
        )
    if not fitting:
        _refuse_what_is_not_read(path)
        raise Refusal(
            f"Nothing in {path} is recognised as {layout or 'images'}.",
            fix=f"The layouts are {', '.join(LAYOUTS)}; see docs/how-to/prepare-imagenet.md.",
            exit_code=Exit.MISSING_INPUT,
        )
    source: Source = cifar.named(LAYOUTS[fitting[0]].read(path))
    splits = ", ".join(f"{split.name} {len(split.photos):,}" for split in source.splits)
    say(f"{path} is read as {fitting[0]}: {source.dataset}, {len(source.classes):,} classes, {splits}.")
    return source


def _refuse_what_is_not_read(path: Path) -> None:
    """Name a known format that is not read, which is kinder than saying that nothing is there."""
    for file in sorted(path.rglob("*")):
        kind = "TFRecord" if TFRECORD.search(file.name) else NOT_READ.get(file.suffix.lower())
        if kind:
            raise Refusal(
                f"{file} is of the kind {kind}, which is not read.",
                fix=f"Use the files that it was made from: {', '.join(LAYOUTS)}.",
                exit_code=Exit.MISSING_INPUT,
            )
