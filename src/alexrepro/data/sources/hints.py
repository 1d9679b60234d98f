"""What a folder holds that no layout fits, and what to type then: a table of hints, the first that applies is given.

Every hint sees the folders of a bounded walk, the named one first, and returns a refusal or None.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from shlex import quote

from alexrepro.data.sources.folders import ENDS_IN_WNID, SPLITS
from alexrepro.data.sources.labels import BEGINS_WITH_WNID
from alexrepro.data.sources.packed import content, unpacking
from alexrepro.data.sources.seen import Folder, walk
from alexrepro.errors import Exit, UserError

Fits = Callable[[Path], list[str]]  # the layouts that fit a folder
Hint = Callable[[Sequence[Folder]], UserError | None]

TFRECORD = re.compile(r"tfrecord|-\d{5}-of-\d{5}$")
NOT_READ = {
    ".rec": "MXNet RecordIO", ".beton": "FFCV", ".mdb": "LMDB", ".lmdb": "LMDB", ".hdf5": "HDF5", ".h5": "HDF5",
    ".npy": "NumPy array", ".npz": "NumPy array", ".pkl": "pickle", ".pt": "PyTorch", ".bin": "CIFAR's binary version",
}  # fmt: skip
PART_OF_ANY = re.compile(r"(.+\.(?:tar|t?gz|xz|zst|bz2|zip|7z|rar))[._-]?(?:part)?(?:\d+|a[a-z])", re.IGNORECASE)
NUMBERED_TAR = re.compile(r"(.*[-_])?\d+\.tar")
PIECE = re.compile(r"([a-z]+)[^a-z].*", re.IGNORECASE)  # train.X1, val_2
BY_BEGINNING = 'for f in n*_*; do mkdir -p "${f%%_*}" && mv "$f" "${f%%_*}/"; done'
BY_END = 'for f in *_n????????.*; do w=${f##*_}; mkdir -p "${w%.*}" && mv "$f" "${w%.*}/"; done'
SHOWN = 3


def unrecognized(path: Path, fits: Fits) -> UserError:
    """The refusal of a folder that no layout fits."""
    folders = walk(path)
    hints: tuple[Hint, ...] = (*BEFORE_LAYOUTS, partial(_layout_below, fits=fits), *AFTER_LAYOUTS)
    for hint in hints:
        if refusal := hint(folders):
            return refusal
    return no_input(
        f"Nothing in {path} is recognized as images; it holds {folders[0].words()}.",
        "Class folders are PATH/train/<class>/photo.jpg; the other layouts are in docs/how-to/prepare-imagenet.md.",
    )


def nested(path: Path, fits: Fits) -> UserError | None:
    """The refusal of class folders that lie deeper than they are looked for, if they do."""
    folders = walk(path)
    if refusal := _split_within_split(folders) or _split_in_pieces(folders):
        return refusal
    is_class = any(folder.photos for folder in folders if folder.path.parent == path)
    return None if is_class or _has_splits(folders[0]) else _layout_below(folders, fits)


def summary(path: Path) -> str:
    """What lies in a folder, in a few words."""
    return walk(path)[0].words()


def flat_photos(path: Path) -> UserError | None:
    """The refusal of photos for training that lie in no class folders, if there are any."""
    return _flat_photos(walk(path))


def _nothing(folders: Sequence[Folder]) -> UserError | None:
    top = folders[0]
    if top.error:
        return UserError(f"{top.path} cannot be listed: {top.error}.", fix="Change its permissions, or ask its owner.",
                       exit_code=Exit.NO_PERMISSION)  # fmt: skip
    if top.folders or top.files:
        return None
    what = f"holds only {top.hidden:,} hidden files" if top.hidden else "is empty"
    return no_input(f"{top.path} {what}.", "Check that the disk is mounted and that this is the folder of the images.")


def _own_store(folders: Sequence[Folder]) -> UserError | None:
    for folder in folders[: 1 + len(folders[0].folders)]:
        if "manifest.json" in folder.files and any(name.startswith("shard-") for name in folder.files):
            return no_input(f"{folder.path} is a store that `alexrepro prepare` wrote.",
                            f"Train on it: alexrepro train --store {quote(str(folder.path.parent))}")  # fmt: skip
    return None


def _split_within_split(folders: Sequence[Folder]) -> UserError | None:
    """train/train/<class>/photo.jpg."""
    top, found = folders[0], dict[str, list[Path]]()
    for folder in folders:
        if folder.path.parent == top.path and folder.path.name.lower() in SPLITS and len(folder.folders) == 1:
            inner = folder.path / folder.folders[0]
            if len(_class_folders(folders, inner)) > 1:
                found[SPLITS[folder.path.name.lower()]] = [inner]
    if not found:
        return None
    deeper = ", ".join(str(inner) for inners in found.values() for inner in inners)
    return no_input(f"The class folders lie one folder deeper than they are looked for: in {deeper}.",
                    _linking(top.path, found))  # fmt: skip


def _split_in_pieces(folders: Sequence[Folder]) -> UserError | None:
    """train.X1/<class>/photo.jpg, train.X2/<class>/photo.jpg."""
    top, found = folders[0], dict[str, list[Path]]()
    for name in top.folders:
        piece = PIECE.fullmatch(name)
        if piece and piece[1].lower() in SPLITS and _class_folders(folders, top.path / name):
            found.setdefault(SPLITS[piece[1].lower()], []).append(top.path / name)
    if not found:
        return None
    names = ", ".join(piece.name for pieces in found.values() for piece in pieces)
    return no_input(f"The folders {names} in {top.path} are not named train, val or test.", _linking(top.path, found))


def _layout_below(folders: Sequence[Folder], fits: Fits) -> UserError | None:
    """A folder that a layout fits lies further below."""
    top, found = folders[0], dict[Path, str]()
    for folder in folders[1:]:
        layouts = fits(folder.path) if found.keys().isdisjoint(folder.path.parents) else []
        has_classes = len(_class_folders(folders, folder.path)) > 1 or _has_splits(folder)
        if layouts and (layouts != ["folders"] or has_classes):
            found[folder.path] = " or ".join(layouts)
    if not found:
        return None
    first = next(iter(found))
    if len(found) == 1:
        what = f"{top.path} is not a layout itself, but {first} looks like one: {found[first]}."
    else:
        shown = ", ".join(f"{path} ({layout})" for path, layout in list(found.items())[:SHOWN])
        what = f"{top.path} is not a layout itself, but {len(found):,} folders in it are: {shown}{_more(found)}."
    return no_input(what, f"Type: alexrepro prepare {quote(str(first))}")


def _flat_photos(folders: Sequence[Folder]) -> UserError | None:
    """train/photo.jpg, with or without the class in its name."""
    top = folders[0].path
    splits = [f for f in folders if f.path.parent == top and f.path.name.lower() in SPLITS and f.photos]
    training = [folder for folder in splits if SPLITS[folder.path.name.lower()] == "train"]
    flat = training or ([folders[0]] if folders[0].photos else [])
    if not flat:
        return None
    first = flat[0]
    count = f"{len(first.photos):,} photos"
    for pattern, word, command in ((ENDS_IN_WNID, "end", BY_END), (BEGINS_WITH_WNID, "begin", BY_BEGINNING)):
        if all(pattern.fullmatch(name) for name in first.photos):
            same = [f for f in splits or flat if all(pattern.fullmatch(name) for name in f.photos)]
            places = " ".join(quote(str(folder.path)) for folder in same)
            return no_input(
                f"{first.path} holds {count} and no class folders; their names {word} with WNIDs.",
                f'Sort them into class folders: for d in {places}; do (cd "$d" && {command}); done',
            )
    return no_input(
        f"{first.path} holds {count} and no class folders, and their names, such as {first.photos[0]}, name no class.",
        f"Sort them into class folders: {first.path}/<class>/{first.photos[0]}",
    )


def _shards(folders: Sequence[Folder]) -> UserError | None:
    for folder in folders:
        tars = [name for name in folder.files if NUMBERED_TAR.fullmatch(name)]
        if tars:
            place = quote(str(folder.path))
            return no_input(
                f"{folder.path} holds numbered tars, such as {tars[0]}, that do not say which split they are.",
                f"If they are WebDataset shards for training: mkdir {place}/train && mv {place}/*.tar {place}/train/",
            )
    return None


def _archives(folders: Sequence[Folder]) -> UserError | None:
    for folder in folders:
        packed = [name for name in folder.files if unpacking(Path(name)) or name.endswith(".tar")]
        if parts := [match[1] for name in folder.files if (match := PART_OF_ANY.fullmatch(name))]:
            joined = quote(str(folder.path / parts[0]))
            return no_input(f"{folder.path} holds {parts[0]} in {len(parts):,} parts.",
                            f"Join them, then run this again: cat {joined}?* > {joined}")  # fmt: skip
        if packed:
            return packed_file(folder.path / packed[0], target=folders[0].path, others=packed[1:])
    return None


def packed_file(file: Path, *, target: Path, others: Sequence[str] = ()) -> UserError:
    """The refusal of an archive that is to be unpacked into the folder `target` first, or that is damaged."""
    found, command = content(file), (unpacking(file) or "").partition(" ")[0]
    is_sound = found != "unknown" if command else found == "tar"
    if not is_sound or found in {"empty", "web page", "Git LFS pointer"}:
        seen = "it does not begin like an archive" if found == "unknown" else f"it is of the kind: {found}"
        return UserError(f"{file} is damaged: {seen}.", fix="Download it again.", exit_code=Exit.BAD_DATA)
    place = quote(str(file))
    if re.search(r"\.(tar(\.\w+)?|t[gx]z|tbz2?|tzst)$", file.name.lower()):
        typed = f"tar -xf {place} -C {quote(str(file.parent))}"
    else:
        typed = f"cd {quote(str(file.parent))} && {unpacking(Path(quote(file.name)))}"
    more = f" (and {', '.join(others[:SHOWN])}{_more(others)})" if others else ""
    fix = f"Unpack it, then prepare the folder: {typed} && alexrepro prepare {quote(str(target))}"
    return no_input(f"{file}{more} is an archive that is not read in place.", fix)


def _not_read(folders: Sequence[Folder]) -> UserError | None:
    """A known format that is not read."""
    for folder in folders:
        if {"train", "test", "meta"} <= set(folder.files):
            return no_input(f"{folder.path} looks like CIFAR-100, which is not read.",
                            "Write its pictures to class folders, or type: alexrepro prepare cifar10")  # fmt: skip
        for name in folder.files:
            kind = "TFRecord" if TFRECORD.search(name) else NOT_READ.get(Path(name).suffix.lower())
            if kind:
                return no_input(f"{folder.path / name} is of the kind {kind}, which is not read.",
                                "Use the photos, Parquet or archives that it was made from.")  # fmt: skip
    return None


BEFORE_LAYOUTS: tuple[Hint, ...] = (_nothing, _own_store, _split_within_split, _split_in_pieces)
AFTER_LAYOUTS: tuple[Hint, ...] = (_flat_photos, _not_read, _shards, _archives)


def _class_folders(folders: Sequence[Folder], path: Path) -> list[str]:
    return [folder.path.name for folder in folders if folder.path.parent == path and folder.photos]


def _has_splits(folder: Folder) -> bool:
    return any(name.lower() in SPLITS for name in folder.folders)


def _linking(top: Path, folders: dict[str, list[Path]]) -> str:
    """Commands that make a folder of links in the layout of class folders, and prepare it."""
    target = quote(f"{top}-linked")
    links = [
        f"ln -s {' '.join(f'{quote(str(piece.resolve()))}/*' for piece in pieces)} {target}/{split}/"
        for split, pieces in folders.items()
    ]
    made = " ".join(f"{target}/{split}" for split in folders)
    return f"Link them into one folder: mkdir -p {made} && {' && '.join(links)} && alexrepro prepare {target}"


def _more(found: Sequence[object] | dict[Path, str]) -> str:
    return f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""


def no_input(what: str, fix: str) -> UserError:
    """The refusal of a path at which nothing can be read, with what to type."""
    return UserError(what, fix=fix, exit_code=Exit.MISSING_INPUT)
