"""Tiny-ImageNet-200 as it unpacks: wnids.txt, train/<wnid>/images/, val/images/ with val_annotations.txt, test/images/.

Its validation images are also read from class folders, into which many sort them. The test images have no labels.
Labels follow the sorted WNIDs; wnids.txt has an order of its own.
"""

import re
from pathlib import Path

from alexrepro.data.sources.class_folders import class_folders
from alexrepro.data.sources.labels import labels_in, stem, words_by_wnid
from alexrepro.data.sources.source import UNLABELED, File, ImageFile, Skipped, Source, Split, bad_data
from alexrepro.data.sources.walk import WNID, below, entries, escaped, walk, why_skipped
from alexrepro.files import read_text
from alexrepro.progress import first_few

WNIDS, WORDS, ANNOTATIONS = "wnids.txt", "words.txt", "val_annotations.txt"
SORT = f"Move the image to the folder of its class, or all of them back to val/images; {ANNOTATIONS} gives the classes."
ANNOTATION = re.compile(rf"\s*(\S+)[\s,;]+({WNID.pattern})\b")


def fits(path: Path) -> bool:
    """Whether the list of classes and the training folder are there."""
    return (path / WNIDS).is_file() and (path / "train").is_dir()


def read(path: Path) -> Source:
    """The three splits. Raises UserError if a folder or an annotation names another class."""
    wnids = tuple(sorted(set(read_text(path / WNIDS).split())))
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    skipped: list[Skipped] = []
    splits = [_class_folders(path / "train", label_of, skipped)]
    if (path / "val" / ANNOTATIONS).is_file() or (path / "val" / "images").is_dir():
        splits.append(_validation(path / "val", label_of, skipped))
    elif (path / "val").is_dir():
        splits.append(_class_folders(path / "val", label_of, skipped))
    if (path / "test").is_dir():
        tests = [ImageFile(below(path, file), UNLABELED, File(file)) for file in _images(path / "test", skipped)]
        splits.append(Split("test", tests, labeled=False))
    known = {WNIDS, WORDS, *(split.name for split in splits)}
    skipped += [
        Skipped(below(path, path / entry.name), why_skipped(entry) or "next to the three splits")
        for entry in entries(path) if entry.name not in known
    ]  # fmt: skip
    words = words_by_wnid(read_text(path / WORDS)) if (path / WORDS).is_file() else {}
    class_names = tuple(words.get(wnid, wnid) for wnid in wnids)
    return Source("tiny-imagenet-200", wnids, class_names, tuple(splits), skipped=tuple(skipped))


def _class_folders(folder: Path, label_of: dict[str, int], skipped: list[Skipped]) -> Split:
    """The images of each class, in its folder or deeper; adds everything else to `skipped`."""
    found = class_folders(folder, root=folder.parent)
    if different := found.images.keys() ^ label_of.keys():
        shown = first_few([escaped(name) for name in sorted(different)])
        raise bad_data(f"{folder} does not have the class folders of {WNIDS}; they differ by {shown}.")
    skipped += found.skipped
    return Split(folder.name, [
        ImageFile(below(folder.parent, file), label, File(file))
        for wnid, label in label_of.items() for file in found.images[wnid]
    ])  # fmt: skip


def _validation(folder: Path, label_of: dict[str, int], skipped: list[Skipped]) -> Split:
    table = folder / ANNOTATIONS
    if not table.is_file():
        raise bad_data(f"{folder} has images, but no {ANNOTATIONS} that gives their classes.")
    rows = {stem(row[1]): row[2] for line in read_text(table).split("\n") if (row := ANNOTATION.match(line))}
    files = _images(folder, skipped)
    labels = labels_in(rows, [file.name for file in files], label_of, table)
    for file, label in zip(files, labels, strict=True):
        above = file.relative_to(folder).parts[0]
        if label_of.get(above, label) != label:
            raise bad_data(f"{file} lies in the class folder {above}, but {ANNOTATIONS} gives it another class.", SORT)
    if len(files) < len(rows):
        raise bad_data(f"{folder} has {len(files):,} of the {len(rows):,} images in {ANNOTATIONS}.")
    return Split("val", [ImageFile(below(folder.parent, file), label, File(file))
                         for file, label in zip(files, labels, strict=True)])  # fmt: skip


def _images(folder: Path, skipped: list[Skipped]) -> list[Path]:
    """The images at any depth of a folder; adds everything but the annotations to `skipped`."""
    files = list(walk(folder))
    skipped += [Skipped(below(folder.parent, file), why) for file, why in files if why and file.name != ANNOTATIONS]
    return [file for file, why in files if why is None]
