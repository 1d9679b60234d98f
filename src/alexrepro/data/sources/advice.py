"""What to type for a file, or for a folder that no layout fits.

A folder is listed to a limited depth; a table of hints is tried in order, and the first that applies is given.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from alexrepro.data.sources.archives import NOT_AN_ARCHIVE, content, packing_of
from alexrepro.data.sources.source import bad_data
from alexrepro.data.sources.walk import SPLITS, is_folder, is_image
from alexrepro.errors import Exit, UserError
from alexrepro.progress import first_few

NOT_READ = {
    "TFRecord": r".*tfrecord.*|.*-\d{5}-of-\d{5}", "MXNet RecordIO": r".*\.rec", "FFCV": r".*\.beton",
    "LMDB": r".*\.l?mdb", "HDF5": r".*\.(hdf5|h5)", "NumPy array": r".*\.np[yz]", "pickle": r".*\.pkl",
    "PyTorch": r".*\.pt", "CIFAR's binary version": r".*\.bin",
}  # fmt: skip
BY_FILE = (  # names of files, what they show, and what to type
    (r"shard-\d+\.arrow", "{folder} is a store that `alexrepro prepare` wrote.",
     "Train on it: alexrepro train --store {quoted}"),
    (r"meta", "{folder} looks like CIFAR-100, which is not read.",
     "Write its images to class folders, or type: alexrepro prepare cifar10"),
    *((pattern, f"{{folder}}/{{name}} is of the kind {kind}, which is not read.",
       "Use the images, Parquet or archives that it was made from.") for kind, pattern in NOT_READ.items()),
    (r"(.*[-_])?\d+\.tar", "{folder} holds numbered tars, such as {name}, whose split is not known.",
     "If they are WebDataset shards for training: mkdir {quoted}/train && mv {quoted}/*.tar {quoted}/train/"),
    (r"(.+\.(?:tar|t?gz|xz|zst|bz2|zip|7z|rar))[._-]?(?:part)?(?:\d+|a[a-z])", "{folder} holds {group} in parts.",
     "Join them, then run this again: (cd {quoted} && cat '{group}'?* > '{group}')"),
)  # fmt: skip
BY_WNID = {  # how flat images are sorted into class folders by their names
    "end": (".+_n\\d{8}\\.jpe?g", 'for f in *_n????????.*; do w=${f##*_}; '
                                  'mkdir -p "${w%.*}" && mv "$f" "${w%.*}/"; done'),
    "begin": ("n\\d{8}_.+", 'for f in n*_*; do mkdir -p "${f%%_*}" && mv "$f" "${f%%_*}/"; done'),
}  # fmt: skip

MOST_FOLDERS, MOST_BELOW, MOST_NAMES, MOST_DEPTH = 500, 20, 2000, 7  # folders in all and of one, names of one
Fits = Callable[[Path], list[str]]  # the layouts that fit a folder


class Folder(NamedTuple):
    """What lies in a folder, without hidden names."""

    path: Path
    folders: list[str]
    files: list[str]

    @property
    def images(self) -> list[str]:
        """The names of the images in it."""
        return [name for name in self.files if is_image(name)]


def listed(top: Path) -> list[Folder]:
    """The folder and those below it, the upper first; links are followed, but no folder is visited twice.

    Raises OSError if the upper one cannot be listed.
    """
    found, waiting, visited = list[Folder](), [(top, 0)], set[tuple[int, int]]()
    for path, depth in waiting:
        try:
            state = path.stat()
            if (state.st_dev, state.st_ino) in visited or len(found) == MOST_FOLDERS:
                continue
            visited.add((state.st_dev, state.st_ino))
            with os.scandir(path) as inside:
                names = sorted((entry.name, is_folder(entry)) for entry in islice(inside, MOST_NAMES))
        except OSError:
            if path == top:
                raise
            continue
        folders, files = (
            [name for name, is_one in names if is_one is kind and name[0] != "."] for kind in (True, False)
        )
        found.append(Folder(path, folders, files))
        if depth < MOST_DEPTH:
            waiting += [(path / name, depth + 1) for name in folders[:MOST_BELOW]]
    return found


def unrecognized(path: Path, fits: Fits) -> UserError:
    """The error for a folder that no layout fits."""
    folders = listed(path)
    top = folders[0]
    if not top.folders and not top.files:
        return no_input(
            f"{path} is empty.", "Check that the disk is mounted and that this is the folder of the images."
        )
    hints = (_other_splits, partial(_layout_below, fits=fits), _flat_images, _by_file_name, _archives)
    if error := next(filter(None, (hint(folders) for hint in hints)), None):
        return error
    suffixes = Counter(Path(name).suffix or name for name in top.files).most_common()
    kinds = [f"{count:,} {suffix}" for suffix, count in suffixes]
    held = " and ".join(f"{len(names):,} {unit}{'s' * (len(names) != 1)} ({first_few(shown, 4)})" for unit, names, shown
                        in (("folder", top.folders, top.folders), ("file", top.files, kinds)) if names)  # fmt: skip
    return no_input(
        f"Nothing in {path} is recognized as images; it holds {held}.",
        "Class folders are PATH/train/<class>/image.jpg; the other layouts are in docs/how-to/prepare-imagenet.md.",
    )


def nested(path: Path, fits: Fits) -> UserError | None:
    """The error for class folders that lie deeper than they are looked for, if they do."""
    folders = listed(path)
    has_classes = bool(_class_folders(folders, path)) or _has_splits(folders[0])
    return _other_splits(folders) or (None if has_classes else _layout_below(folders, fits))


def flat_images(path: Path) -> UserError | None:
    """The error for training images that lie in no class folders, if there are any."""
    return _flat_images(listed(path))


def not_a_folder(path: Path, fits: Fits) -> UserError:
    """The error for a file that is not a source by itself."""
    folder = quote(str(path.parent))
    if is_image(path.name):
        return no_input(f"{path} is one image.", f"Name the folder of the class folders: alexrepro prepare {folder}")
    if fits(path.parent):
        return no_input(f"{path} is a file.", f"Name its folder: alexrepro prepare {folder}")
    if packing_of(path.name) or path.suffix == ".tar":
        return _packed(path, target=path.parent)
    return no_input(f"{path} is not a folder.", f"Name the folder that holds the images, such as: {folder}")


def _other_splits(folders: Sequence[Folder]) -> UserError | None:
    """Class folders in train/train/ or in train.X1/ and train.X2/: they can be linked into one folder."""
    top, deeper, pieces = folders[0].path, dict[str, list[Path]](), dict[str, list[Path]]()
    for folder in (folder for folder in folders if folder.path.parent == top):
        name, inner = folder.path.name.lower(), [folder.path / below for below in folder.folders]
        split = SPLITS.get(re.split(r"[^a-z]", name)[0])  # of train.X1 or val_2, too
        if split and name not in SPLITS and _class_folders(folders, folder.path):
            pieces.setdefault(split, []).append(folder.path)
        elif name in SPLITS and len(inner) == 1 and len(_class_folders(folders, inner[0])) > 1:
            deeper.setdefault(SPLITS[name], []).extend(inner)
    found = deeper or pieces
    names = ", ".join(str(at if deeper else at.name) for places in found.values() for at in places)
    what = (f"The class folders lie one folder deeper than they are looked for: in {names}." if deeper
            else f"The folders {names} in {top} are not named train, val or test.")  # fmt: skip
    target = quote(f"{top}-linked")
    made = " ".join(f"{target}/{split}" for split in found)
    links = [f"ln -s {' '.join(f'{quote(str(at.resolve()))}/*' for at in places)} {target}/{split}/"
             for split, places in found.items()]  # fmt: skip
    fix = f"Link them into one folder: mkdir -p {made} && {' && '.join(links)} && alexrepro prepare {target}"
    return no_input(what, fix) if found else None


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
    what = f"{first} looks like one: {found[first]}"
    if len(found) > 1:
        shown = first_few([f"{path} ({layout})" for path, layout in found.items()], 3)
        what = f"{len(found):,} folders in it are: {shown}"
    return no_input(f"{top.path} is not a layout itself, but {what}.", f"Type: alexrepro prepare {quote(str(first))}")


def _flat_images(folders: Sequence[Folder]) -> UserError | None:
    """train/image.jpg, with or without the class in its name."""
    top = folders[0].path
    splits = [f for f in folders if f.path.parent == top and f.path.name.lower() in SPLITS and f.images]
    training = [folder for folder in splits if SPLITS[folder.path.name.lower()] == "train"]
    flat = training or ([folders[0]] if folders[0].images else [])
    if not flat:
        return None
    first = flat[0]
    what = f"{first.path} holds {len(first.images):,} images and no class folders"
    for word, (pattern, command) in BY_WNID.items():
        same = [f for f in splits or flat if all(re.fullmatch(pattern, name, re.IGNORECASE) for name in f.images)]
        if first in same:
            paths = " ".join(quote(str(folder.path)) for folder in same)
            fix = f'Sort them into class folders: for d in {paths}; do (cd "$d" && {command}); done'
            return no_input(f"{what}; their names {word} with WNIDs.", fix)
    return no_input(f"{what}, and their names, such as {first.images[0]}, name no class.",
                     f"Sort them into class folders: {first.path}/<class>/{first.images[0]}")  # fmt: skip


def _by_file_name(folders: Sequence[Folder]) -> UserError | None:
    for pattern, what, fix in BY_FILE:
        for folder in folders:
            for name in folder.files:
                if match := re.fullmatch(pattern, name, re.IGNORECASE):
                    words = {"folder": folder.path, "quoted": quote(str(folder.path)), "name": name}
                    words["group"] = match[1] if match.groups() else ""
                    return no_input(what.format(**words), fix.format(**words))
    return None


def _archives(folders: Sequence[Folder]) -> UserError | None:
    for folder in folders:
        if packed := [name for name in folder.files if packing_of(name) or name.endswith(".tar")]:
            return _packed(folder.path / packed[0], target=folders[0].path, others=packed[1:])
    return None


def _packed(file: Path, *, target: Path, others: Sequence[str] = ()) -> UserError:
    """The error for an archive that must be unpacked before the folder `target` is prepared, or that is damaged."""
    found, packing = content(file), packing_of(file.name)
    if found in NOT_AN_ARCHIVE or found == "unknown" or (packing is None and found != "tar"):
        return bad_data(f"{file} is damaged; its content: {found}.", "Download it again.")
    at, folder = quote(str(file)), quote(str(file.parent))
    is_tar = re.search(r"\.(tar(\.\w+)?|t[gx]z|tbz2?|tzst)$", file.name.lower())
    typed = f"tar -xf {at} -C {folder}" if is_tar or packing is None else f"cd {folder} && {packing.command} {at}"
    more = f" (and {first_few(others, 3)})" if others else ""
    fix = f"Unpack it, then prepare the folder: {typed} && alexrepro prepare {quote(str(target))}"
    return no_input(f"{file}{more} is an archive that is not read in place.", fix)


def _class_folders(folders: Sequence[Folder], path: Path) -> list[str]:
    return [folder.path.name for folder in folders if folder.path.parent == path and folder.images]


def _has_splits(folder: Folder) -> bool:
    return any(name.lower() in SPLITS for name in folder.folders)


def no_input(what: str, fix: str) -> UserError:
    """The error for a path at which there are no images to read."""
    return UserError(what, fix=fix, exit_code=Exit.MISSING_INPUT)
