"""The photos in tars: in one archive, or by class in class tars or class folders within it.

Each archive is opened once, its photos are counted on stderr while it is read, and whatever is skipped is said.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path, PurePosixPath

from alexrepro.data.sources.archives import Span, archive, listed
from alexrepro.data.sources.folders import WNID, is_photo, spoken
from alexrepro.data.sources.ilsvrc_splits import Found
from alexrepro.data.sources.labels import BEGINS_WITH_WNID
from alexrepro.errors import Exit, UserError
from alexrepro.progress import counting, say

CLASS_TAR = re.compile(rf"({WNID.pattern})\.tar")
HIDDEN = re.compile(r"\.[^.].*|PaxHeaders?(\..*)?|__MACOSX|Thumbs\.db|desktop\.ini")  # of a file or a folder
SHOWN_SKIPPED = 5


class Listing:
    """Reads lists of members, counts the photos among them, and keeps what it skips."""

    def __init__(self, count: Callable[[], None]) -> None:
        self.count = count
        self.skipped: list[tuple[str, str]] = []  # path in the archive, and reason

    def skip(self, path: str, why: str) -> None:
        """Keep a member that is not read and the reason."""
        self.skipped.append((spoken(Path(path)), why))

    def files(self, *parts: Path) -> Iterator[tuple[str, Span]]:
        """Path and place of each file in an archive that is not hidden, in its order."""
        whole = archive(*parts)
        with whole.parts.opened() as read:
            yield from self._shown(listed(whole, read, self.skip))

    def photos(self, *parts: Path) -> Found:
        """The photos in an archive by name. Raises UserError if it holds two of one name."""
        return in_order(self._photos(self.files(*parts)), parts[0])

    def by_class(self, *parts: Path) -> dict[str, Found]:
        """The photos by WNID in an archive of class tars or of class folders.

        The class of a photo that is in no class tar is that of its folder or of its name. Raises UserError if one is
        not known, and if a class tar or the name of a photo comes twice.
        """
        whole = archive(*parts)
        tars: dict[str, Found] = {}
        loose: dict[str, Found] = {}
        with whole.parts.opened() as read:
            for path, span in self._shown(listed(whole, read, self.skip)):
                name = PurePosixPath(path).name
                if packed := CLASS_TAR.fullmatch(name):
                    if packed[1] in tars:
                        raise _twice(parts[0], name)
                    inside = self._shown(listed(span, read, self.skip, within=name))
                    tars[packed[1]] = in_order(self._photos(inside), parts[0])
                elif photos := self._photos(iter([(path, span)])):
                    loose.setdefault(_class_of(path, parts[0]), []).extend(photos)
        sorted_loose = {wnid: in_order(photos, parts[0]) for wnid, photos in loose.items()}
        if both := tars.keys() & loose.keys():
            raise _twice(parts[0], min(both))
        return dict(sorted((tars | sorted_loose).items()))

    def _shown(self, files: Iterator[tuple[str, Span]]) -> Iterator[tuple[str, Span]]:
        for path, span in files:
            if is_hidden(path):
                self.skip(path, "hidden")
            else:
                yield path, span

    def _photos(self, files: Iterator[tuple[str, Span]]) -> Found:
        found: Found = []
        for path, span in files:
            if is_photo(path):
                found.append((PurePosixPath(path).name, span))
                self.count()
            else:
                self.skip(path, "not a photo by its suffix")
        return found


def is_hidden(path: str) -> bool:
    """Whether a member is a remark of an operating system or of a tar, or lies in a folder of such."""
    return any(HIDDEN.fullmatch(part) for part in PurePosixPath(path).parts)


def in_order(found: Found, file: Path) -> Found:
    """The photos of an archive in the order of their names. Raises UserError if two have one name."""
    found.sort(key=lambda item: item[0])
    for (before, _), (name, _) in pairwise(found):
        if before == name:
            raise _twice(file, name)
    return found


@contextmanager
def listing(title: str) -> Iterator[Listing]:
    """A listing that shows how far it has come and, in the end, what was skipped; title: what is read."""
    with counting(f"reading {title}") as count:
        found = Listing(count)
        yield found
    if found.skipped:
        shown = ", ".join(f"{path} ({why})" for path, why in found.skipped[:SHOWN_SKIPPED])
        more = ", ..." if len(found.skipped) > SHOWN_SKIPPED else ""
        say(f"{title}: {len(found.skipped):,} members were skipped: {shown}{more}.")


def _class_of(path: str, file: Path) -> str:
    folder, name = PurePosixPath(path).parent.name, PurePosixPath(path).name
    if WNID.fullmatch(folder):
        return folder
    if begins := BEGINS_WITH_WNID.fullmatch(name):
        return begins[1]
    raise UserError(
        f"{file} holds {spoken(Path(path))}, whose class is not known.",
        fix="A training photo lies in n01440764.tar, in a folder n01440764, or has a name that begins with n01440764_.",
        exit_code=Exit.BAD_DATA,
    )


def _twice(file: Path, name: str) -> UserError:
    return UserError(
        f"{file} holds {spoken(Path(name))} twice.",
        fix="Unpack it, so that the later replaces the earlier, and prepare the folder.",
        exit_code=Exit.BAD_DATA,
    )
