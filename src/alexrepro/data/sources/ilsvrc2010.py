"""ILSVRC-2010 as its archives unpack: class folders, numbered validation and test files, and the devkit.

Labels are the devkit's ILSVRC2010_ID minus 1. That order is not that of the sorted WNIDs.
"""

import re
from pathlib import Path
from typing import Any

from scipy.io import loadmat

from alexrepro.data.sources.folders import is_photo, sorted_names, spoken
from alexrepro.data.sources.source import UNLABELLED, File, Photo, Source, Split
from alexrepro.errors import Exit, Refusal

META = "meta.mat"
VALIDATION_TRUTH = "ILSVRC2010_validation_ground_truth.txt"
TEST_TRUTH = "ILSVRC2010_test_ground_truth.txt"
MINIATURE = "MINIATURE.txt"
MOST_META_BYTES = 50_000_000  # the real meta.mat has 184,207


def fits(path: Path) -> bool:
    """Whether the path has an ILSVRC-2010 devkit and its numbered or class folders."""
    return _find(path, META) is not None and (path / "train").is_dir()


def read(path: Path) -> Source:
    """Classes from the devkit, photos from train/, val/ and test/ where they are there.

    Raises Refusal if a ground-truth file does not match its photos, or a class folder is not in the devkit.
    """
    wnids, names = read_meta(_needed(path, META))
    patches = _patches(path)
    splits = [Split("train", _training(path / "train", wnids, patches))]
    for name, truth in (("val", VALIDATION_TRUTH), ("test", TEST_TRUTH)):
        if (path / name).is_dir():
            file = _find(path, truth) if name == "test" else _needed(path, truth)
            splits.append(_numbered(path, name, truth=file, classes=len(wnids), patches=patches))
    dataset = "ilsvrc2010-miniature" if (path / MINIATURE).exists() else "ilsvrc2010"
    return Source(dataset, wnids, names, tuple(splits), ilsvrc_ids=tuple(range(1, len(wnids) + 1)))


def read_meta(file: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """WNIDs and words of the leaves of meta.mat, in the order of their ids 1, 2, 3 ..."""
    if file.stat().st_size > MOST_META_BYTES:
        raise _wrong(file, f"has more than {MOST_META_BYTES:,} bytes")
    try:
        synsets: Any = loadmat(str(file), squeeze_me=True)["synsets"]
        leaves = sorted((int(row["ILSVRC2010_ID"]), row) for row in synsets if int(row["num_children"]) == 0)
    except (ValueError, KeyError, TypeError, IndexError, OSError) as error:
        raise _wrong(file, f"cannot be read ({error})") from None
    if [number for number, _ in leaves] != list(range(1, len(leaves) + 1)):
        raise _wrong(file, "does not number its leaves 1, 2, 3 ...")
    return tuple(str(row["WNID"]) for _, row in leaves), tuple(str(row["words"]) for _, row in leaves)


def _training(folder: Path, wnids: tuple[str, ...], patches: dict[str, Path]) -> list[Photo]:
    found = [name for name in sorted_names(folder) if (folder / name).is_dir()]
    strangers, missing = sorted(set(found) - set(wnids)), sorted(set(wnids) - set(found))
    if strangers or missing:
        raise _wrong(folder, f"has {len(strangers)} class folders that the devkit lacks and lacks {len(missing)} "
                             f"of its classes ({', '.join((strangers + missing)[:5])})")  # fmt: skip
    return [
        Photo(spoken(Path("train", wnid, file)), label, File(patches.get(f"train/{file}", folder / wnid / file)))
        for label, wnid in enumerate(wnids)
        for file in sorted_names(folder / wnid)
        if is_photo(file)
    ]


def _numbered(path: Path, name: str, *, truth: Path | None, classes: int, patches: dict[str, Path]) -> Split:
    files = [file for file in sorted_names(path / name) if is_photo(file)]
    labels = [UNLABELLED] * len(files) if truth is None else _labels(truth, classes)
    if len(labels) != len(files):
        raise _wrong(path / name, f"has {len(files):,} photos, but {truth} has {len(labels):,} lines")
    photos = [
        Photo(spoken(Path(name, file)), label, File(patches.get(f"{name}/{file}", path / name / file)))
        for file, label in zip(files, labels, strict=True)
    ]
    return Split(name, photos, labelled=truth is not None)


def _labels(file: Path, classes: int) -> list[int]:
    lines = file.read_text(encoding="ascii", errors="replace").split()
    if not all(re.fullmatch(r"\d{1,5}", line) and 1 <= int(line) <= classes for line in lines):
        raise _wrong(file, f"has lines that are not ids from 1 to {classes}")
    return [int(line) - 1 for line in lines]


def _patches(path: Path) -> dict[str, Path]:
    """The organizers' replacements by split and file name, if patch_images/ is there."""
    found = (path / "patch_images").glob("*/*")
    return {f"{file.parent.name}/{file.name}": file for file in found if is_photo(file.name)}


def _find(path: Path, name: str) -> Path | None:
    """A devkit file, in the root or in the devkit's folders."""
    places = (path, path / "data", *sorted(path.glob("*devkit*")), *sorted(path.glob("*devkit*/data")))
    return next((place / name for place in places if (place / name).is_file()), None)


def _needed(path: Path, name: str) -> Path:
    found = _find(path, name)
    if found is None:
        raise Refusal(
            f"{path} has no {name}.",
            fix="Unpack ILSVRC2010_devkit-1.0.tar.gz there; it comes with the images from image-net.org.",
            exit_code=Exit.MISSING_INPUT,
        )
    return found


def _wrong(path: Path, what: str) -> Refusal:
    return Refusal(f"{path} {what}.", fix="Check that the download is complete.", exit_code=Exit.BAD_DATA)
