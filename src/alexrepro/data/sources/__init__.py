"""Where images are: one small file per layout, and one function that recognises which."""

from pathlib import Path
from types import ModuleType

from alexrepro.data.sources import folders, ilsvrc2010, parquet
from alexrepro.data.sources.source import Source
from alexrepro.errors import Exit, Refusal

LAYOUTS: dict[str, ModuleType] = {
    "ILSVRC-2010 with its devkit": ilsvrc2010,
    "image Parquet": parquet,
    "class folders": folders,
}


def recognise(path: Path) -> Source:
    """The source at a path. Raises Refusal if nothing, or more than one layout, fits what lies there.

    An ILSVRC-2010 layout has class folders, too; its devkit decides.
    """
    if not path.is_dir():
        raise Refusal(
            f"{path} is not a folder.", fix="Name the folder that holds the images.", exit_code=Exit.MISSING_INPUT
        )
    fitting = [name for name, layout in LAYOUTS.items() if layout.fits(path)]
    if fitting[:1] == ["ILSVRC-2010 with its devkit"]:
        fitting = fitting[:1]
    if len(fitting) > 1:
        raise Refusal(f"{path} could be {' or '.join(fitting)}.", fix="Name the folder of one of them.")
    if not fitting:
        raise Refusal(
            f"Nothing in {path} is recognised as images.",
            fix=f"It reads {', '.join(LAYOUTS)}; see docs/how-to/prepare-imagenet.md.",
            exit_code=Exit.MISSING_INPUT,
        )
    source: Source = LAYOUTS[fitting[0]].read(path)
    return source
