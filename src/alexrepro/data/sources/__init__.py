"""Where images are: one small file per layout, and one function that recognises which."""

from pathlib import Path
from types import ModuleType

from alexrepro.data.sources import folders, ilsvrc, parquet, tiny_imagenet, webdataset
from alexrepro.data.sources.source import Source
from alexrepro.errors import Exit, Refusal

LAYOUTS: dict[str, ModuleType] = {
    "ILSVRC": ilsvrc,
    "Tiny-ImageNet-200": tiny_imagenet,
    "image Parquet": parquet,
    "WebDataset shards": webdataset,
    "class folders": folders,
}

SPECIAL = ("ILSVRC", "Tiny-ImageNet-200")  # their class folders are part of them
NOT_READ = {
    ".tfrecord": "TFRecord",
    ".rec": "MXNet RecordIO",
    ".beton": "FFCV",
    ".mdb": "LMDB",
    ".hdf5": "HDF5",
    ".zip": "zip archive",
}


def recognise(path: Path) -> Source:
    """The source at a path. Raises Refusal if nothing, or more than one layout, fits what lies there.

    ILSVRC and Tiny-ImageNet-200 have class folders, too; what else they have decides.
    """
    if not path.is_dir():
        raise Refusal(
            f"{path} is not a folder.", fix="Name the folder that holds the images.", exit_code=Exit.MISSING_INPUT
        )
    fitting = [name for name, layout in LAYOUTS.items() if layout.fits(path)]
    if fitting[:1] and fitting[0] in SPECIAL:
        fitting = fitting[:1]
    if len(fitting) > 1:
        raise Refusal(f"{path} could be {' or '.join(fitting)}.", fix="Name the folder of one of them.")
    if not fitting:
        _refuse_what_is_not_read(path)
        raise Refusal(
            f"Nothing in {path} is recognised as images.",
            fix=f"It reads {', '.join(LAYOUTS)}; see docs/how-to/prepare-imagenet.md.",
            exit_code=Exit.MISSING_INPUT,
        )
    source: Source = LAYOUTS[fitting[0]].read(path)
    return source


def _refuse_what_is_not_read(path: Path) -> None:
    """Name a known format that is not read, which is kinder than saying that nothing is there."""
    for file in sorted(path.rglob("*")):
        kind = next((kind for suffix, kind in NOT_READ.items() if suffix in file.name.lower()), None)
        if kind:
            raise Refusal(
                f"{file} is of the kind {kind}, which is not read.",
                fix=f"Use the files that it was made from: {', '.join(LAYOUTS)}.",
                exit_code=Exit.MISSING_INPUT,
            )
