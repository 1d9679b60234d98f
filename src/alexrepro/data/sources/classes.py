"""The class folders of one split: which folders are classes, which photos are in them, and what is skipped."""

import os
import re
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from alexrepro.data.sources.source import Skipped
from alexrepro.data.sources.walk import (
    NO_FILE,
    PACKED,
    WNID,
    below,
    entries,
    is_folder,
    spoken,
    walk,
    why_skipped,
)
from alexrepro.errors import Exit, UserError


@dataclass(frozen=True)
class ClassFolders:
    """The folders of one split by their names, with the photos of each, and what is skipped in them."""

    folder: Path
    photos: dict[str, list[Path]]
    skipped: list[Skipped]


def class_folders(folder: Path, *, root: Path, named: re.Pattern[str] | None = None) -> ClassFolders:
    """Every folder in a folder as a class, with the photos at any depth; what else lies there is skipped.

    named: what the names of the classes are; others are passed over then.

    A folder without any file is a class without photos; one with other files only is none, unless its name is a WNID.
    Raises UserError if every photo lies deeper and in several folders of one, so that these may be the classes.
    """
    photos: dict[str, list[Path]] = {}
    skipped = []
    for entry in (entry for entry in entries(folder) if named is None or named.fullmatch(entry.name)):
        path, reason = below(root, folder / entry.name), why_skipped(entry)
        if not is_folder(entry):
            is_loss = not reason or _stands_for_class(entry, reason, photos)
            skipped.append(Skipped(path, reason or "a photo outside of the class folders", is_loss))
        elif reason:
            skipped.append(Skipped(path, reason))
        else:
            files = list(walk(folder / entry.name))
            kept = [file for file, reason in files if reason is None]
            if kept or not files or WNID.fullmatch(entry.name):
                photos[entry.name] = kept
                skipped += [Skipped(below(root, file), reason) for file, reason in files if reason]
            else:
                skipped.append(Skipped(path, f"no photo in {len(files):,} files"))
    found = ClassFolders(folder, photos, skipped)
    _refuse_unclear(found)
    return _without_other_classes(found, root)


def _without_other_classes(found: ClassFolders, root: Path) -> ClassFolders:
    """Without the photos in a class folder that lie in a folder named as another class; they are a loss."""
    photos: dict[str, list[Path]] = {}
    skipped = list(found.skipped)
    for name, files in found.photos.items():
        strangers = Counter[Path]()
        kept = []
        for file in files:
            inner = file.relative_to(found.folder).parts[:-1]
            depth = next((at for at, part in enumerate(inner) if at and part != name and _is_class(part, found)), None)
            if depth is None:
                kept.append(file)
            else:
                strangers[found.folder.joinpath(*inner[: depth + 1])] += 1
        if kept or not files:
            photos[name] = kept
        for folder, count in strangers.items():
            reason = f"{count:,} photos in a folder that is named as another class than {spoken(Path(name))}"
            skipped.append(Skipped(below(root, folder), reason, is_loss=True))
        if not files:
            skipped.append(Skipped(below(root, found.folder / name), "a class folder without a photo", is_loss=True))
    return ClassFolders(found.folder, photos, skipped)


def _stands_for_class(entry: os.DirEntry[str], reason: str, classes: Container[str]) -> bool:
    """Whether something is a class that is not there: its archive, or a link that leads nowhere."""
    stem = entry.name.partition(".")[0]
    is_packed = entry.name.endswith(PACKED) and WNID.fullmatch(stem) is not None
    return stem not in classes and (is_packed or (entry.is_symlink() and reason == NO_FILE))


def _is_class(name: str, found: ClassFolders) -> bool:
    return name in found.photos or WNID.fullmatch(name) is not None


def _refuse_unclear(found: ClassFolders) -> None:
    """Where no photo lies in a class folder itself and one has several folders of photos, these may be the classes."""
    parents = {name: {file.parent for file in files} for name, files in found.photos.items()}
    if all(map(WNID.fullmatch, parents)) or any(found.folder / name in folders for name, folders in parents.items()):
        return
    for name, folders in parents.items():
        if len(folders) > 1:
            inner = ", ".join(sorted(spoken(Path(folder.name)) for folder in folders)[:3])
            raise unclear(f"{found.folder / name} holds {len(folders):,} folders of photos ({inner}), "
                          "so that it is not clear which folders are the classes")  # fmt: skip


def unclear(what: str) -> UserError:
    """The refusal of folders that can be read in two ways."""
    return UserError(
        f"{what}.", fix="Keep one folder per split (train, val, test), and the class folders directly in it.",
        exit_code=Exit.BAD_DATA,
    )  # fmt: skip
