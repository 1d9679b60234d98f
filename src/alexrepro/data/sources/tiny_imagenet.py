"""Tiny-ImageNet-200 as it unpacks: wnids.txt, train/<wnid>/images/, val/images/ with val_annotations.txt, test/images/.

Its validation photos are also read from class folders, into which many sort them. The test photos have no labels.
Labels follow the sorted WNIDs; wnids.txt has an order of its own.
"""

import re
from pathlib import Path

from alexrepro.data.sources.classes import class_folders
from alexrepro.data.sources.devkit import wrong
from alexrepro.data.sources.folders import WNID, spoken
from alexrepro.data.sources.source import UNLABELED, File, Photo, Skipped, Source, Split
from alexrepro.data.sources.tables import labels_in, names_in, stem
from alexrepro.data.sources.walk import below, entries, walk, why_skipped
from alexrepro.files import read_text

WNIDS, WORDS, ANNOTATIONS = "wnids.txt", "words.txt", "val_annotations.txt"
SORT = f"Move the photo to the folder of its class, or all of them back to val/images; {ANNOTATIONS} says the classes."
ANNOTATION = re.compile(rf"\s*(\S+)[\s,;]+({WNID.pattern})\b")


def fits(path: Path) -> bool:
    """Whether the list of classes and the training folder are there."""
    return (path / WNIDS).is_file() and (path / "train").is_dir()


def read(path: Path) -> Source:
    """The three splits. Raises UserError if a folder or an annotation names another class."""
    wnids = sorted(set(read_text(path / WNIDS).split()))
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    skipped: list[Skipped] = []
    splits = [_class_folders(path / "train", label_of, skipped)]
    if (path / "val" / ANNOTATIONS).is_file() or (path / "val" / "images").is_dir():
        splits.append(_validation(path / "val", label_of, skipped))
    elif (path / "val").is_dir():
        splits.append(_class_folders(path / "val", label_of, skipped))
    if (path / "test").is_dir():
        tests = [Photo(below(path, file), UNLABELED, File(file)) for file in _photos(path / "test", path, skipped)]
        splits.append(Split("test", tests, labeled=False))
    known = {WNIDS, WORDS, *(split.name for split in splits)}
    skipped += [
        Skipped(below(path, path / entry.name), why_skipped(entry) or "beside the three splits")
        for entry in entries(path)
        if entry.name not in known
    ]
    names = _words(path / WORDS)
    classes = tuple(wnids)
    return Source(
        "tiny-imagenet-200", classes, tuple(names.get(w, w) for w in wnids), tuple(splits), skipped=tuple(skipped)
    )


def _class_folders(split: Path, label_of: dict[str, int], skipped: list[Skipped]) -> Split:
    """The photos of each class, in its folder or deeper; adds what is none to `skipped`."""
    found = class_folders(split, root=split.parent)
    if found.photos.keys() != label_of.keys():
        different = ", ".join(sorted(found.photos.keys() ^ label_of.keys())[:5])
        raise wrong(split, f"does not have the class folders of {WNIDS}; they differ by {spoken(Path(different))}")
    skipped += found.skipped
    photos = [
        Photo(below(split.parent, file), label_of[wnid], File(file)) for wnid in label_of for file in found.photos[wnid]
    ]
    return Split(split.name, photos)


def _validation(folder: Path, label_of: dict[str, int], skipped: list[Skipped]) -> Split:
    table = folder / ANNOTATIONS
    if not table.is_file():
        raise wrong(folder, f"has photos, but no {ANNOTATIONS} that says their classes")
    lines = read_text(table).split("\n")
    rows = {stem(row[1]): row[2] for line in lines if (row := ANNOTATION.match(line))}
    files = _photos(folder, folder.parent, skipped)
    labels = labels_in(rows, [file.name for file in files], label_of, table)
    for file, label in zip(files, labels, strict=True):
        above = file.relative_to(folder).parts[0]
        if label_of.get(above, label) != label:
            raise wrong(file, f"lies in the class folder {above}, but {ANNOTATIONS} gives it another class", fix=SORT)
    if len(files) < len(rows):
        raise wrong(folder, f"has {len(files):,} of the {len(rows):,} photos in {ANNOTATIONS}")
    photos = (Photo(below(folder.parent, file), label, File(file)) for file, label in zip(files, labels, strict=True))
    return Split("val", list(photos))


def _photos(folder: Path, root: Path, skipped: list[Skipped]) -> list[Path]:
    """The photos at any depth of a folder; adds what is none to `skipped`, apart from the annotations."""
    files = list(walk(folder))
    skipped += [Skipped(below(root, file), reason) for file, reason in files if reason and file.name != ANNOTATIONS]
    return [file for file, reason in files if reason is None]


def _words(file: Path) -> dict[str, str]:
    return names_in(read_text(file)) if file.is_file() else {}
