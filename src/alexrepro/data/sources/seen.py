"""A short walk through a folder that no layout fits: what lies in it and how deep, at a bounded cost."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alexrepro.data.sources.folders import is_photo
from alexrepro.data.sources.walk import is_folder

MOST_FOLDERS, MOST_BELOW, MOST_NAMES, MOST_DEPTH = 500, 20, 2000, 7  # folders in all and of one, names of one


@dataclass(frozen=True)
class Folder:
    """What lies in a folder, hidden names left out; `error` is why it cannot be listed, if it cannot."""

    path: Path
    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    hidden: int = 0
    error: str = ""

    @property
    def photos(self) -> list[str]:
        """The names of photos in it."""
        return [name for name in self.files if is_photo(name)]

    def words(self) -> str:
        """What lies there in a few words, such as `3 folders (a, b, c) and 12 files (10 .txt, 2 .csv)`."""
        parts = []
        if self.folders:
            parts.append(f"{_count(self.folders, 'folder')} ({_few(self.folders)})")
        if self.files:
            suffixes = Counter(Path(name).suffix or name for name in self.files)
            kinds = [f"{count:,} {suffix}" for suffix, count in suffixes.most_common()]
            parts.append(f"{_count(self.files, 'file')} ({_few(kinds)})")
        return " and ".join(parts)


def walk(top: Path) -> list[Folder]:
    """The folder and those below it, the upper first; links are followed, but no folder is visited twice."""
    found, waiting, visited = list[Folder](), [(top, 0)], set[tuple[int, int]]()
    for path, depth in waiting:
        try:
            state = path.stat()
        except OSError:
            continue
        if (state.st_dev, state.st_ino) in visited or len(found) == MOST_FOLDERS:
            continue
        visited.add((state.st_dev, state.st_ino))
        folder = _listed(path)
        found.append(folder)
        if depth < MOST_DEPTH:
            waiting += [(path / name, depth + 1) for name in folder.folders[:MOST_BELOW]]
    return found


def _listed(path: Path) -> Folder:
    folders, files, hidden = list[str](), list[str](), 0
    try:
        for entry in _first(path):
            if entry.name.startswith("."):
                hidden += 1
            elif is_folder(entry):
                folders.append(entry.name)
            else:
                files.append(entry.name)
    except OSError as error:
        return Folder(path, error=error.strerror or type(error).__name__)
    return Folder(path, tuple(sorted(folders)), tuple(sorted(files)), hidden)


def _first(path: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        for number, entry in enumerate(entries):
            if number == MOST_NAMES:
                return
            yield entry


def _count(names: tuple[str, ...], unit: str) -> str:
    more = " or more" if len(names) >= MOST_NAMES else ""
    return f"{len(names):,}{more} {unit}{'s' * (len(names) != 1)}"


def _few(names: tuple[str, ...] | list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
