"""Tiny-ImageNet-200 as it unpacks: wnids.txt, train/<wnid>/images/, val/images/ with val_annotations.txt, test/images/.

Its validation photos are also read from class folders, into which many sort them. The test photos have no labels.
Labels follow the sorted WNIDs; wnids.txt has an order of its own.
"""

from pathlib import Path

from alexrepro.data.sources.devkit import wrong
from alexrepro.data.sources.folders import is_photo, sorted_names
from alexrepro.data.sources.source import UNLABELLED, File, Photo, Source, Split

WNIDS, WORDS, ANNOTATIONS = "wnids.txt", "words.txt", "val_annotations.txt"


def fits(path: Path) -> bool:
    """Whether the list of classes and the training folder are there."""
    return (path / WNIDS).is_file() and (path / "train").is_dir()


def read(path: Path) -> Source:
    """The three splits. Raises Refusal if a folder or an annotation names another class."""
    wnids = sorted((path / WNIDS).read_text(encoding="utf-8").split())
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    splits = [_class_folders(path / "train", label_of)]
    if (path / "val" / "images").is_dir():
        splits.append(_validation(path / "val", label_of))
    elif (path / "val").is_dir():
        splits.append(_class_folders(path / "val", label_of))
    if (path / "test" / "images").is_dir():
        tests = [
            Photo(f"test/images/{name}", UNLABELLED, File(path / "test" / "images" / name))
            for name in _photos(path / "test" / "images")
        ]
        splits.append(Split("test", tests, labelled=False))
    names = _words(path / WORDS)
    return Source("tiny-imagenet-200", tuple(wnids), tuple(names.get(w, w) for w in wnids), tuple(splits))


def _class_folders(split: Path, label_of: dict[str, int]) -> Split:
    """The photos of each class, in its folder or in `images` below it."""
    if [name for name in sorted_names(split) if (split / name).is_dir()] != list(label_of):
        raise wrong(split, f"does not have the class folders of {WNIDS}")
    photos = [
        Photo((file := folder / name).relative_to(split.parent).as_posix(), label_of[wnid], File(file))
        for wnid in label_of
        for folder in (split / wnid, split / wnid / "images")
        for name in _photos(folder)
    ]
    return Split(split.name, photos)


def _validation(folder: Path, label_of: dict[str, int]) -> Split:
    if not (folder / ANNOTATIONS).is_file():
        raise wrong(folder, f"has photos, but no {ANNOTATIONS} that says their classes")
    lines = (folder / ANNOTATIONS).read_text(encoding="utf-8").splitlines()
    wnid_of = {line.split("\t")[0]: line.split("\t")[1] for line in lines if "\t" in line}
    names = _photos(folder / "images")
    if set(names) != set(wnid_of) or not set(wnid_of.values()) <= set(label_of):
        raise wrong(folder / ANNOTATIONS, "does not name the photos and classes that are there")
    photos = [Photo(f"val/images/{name}", label_of[wnid_of[name]], File(folder / "images" / name)) for name in names]
    return Split("val", photos)


def _photos(folder: Path) -> list[str]:
    return [name for name in sorted_names(folder) if is_photo(name)] if folder.is_dir() else []


def _words(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    rows = (line.partition("\t") for line in file.read_text(encoding="utf-8").splitlines())
    return {wnid: words for wnid, _, words in rows}
