"""One way to list images in folders and in tars: what they are named there, where they are, and what is skipped."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path, PurePosixPath

from alexrepro.data.sources.archives import Span, members
from alexrepro.data.sources.checks import Found
from alexrepro.data.sources.source import File, Skipped, bad_data
from alexrepro.data.sources.walk import CLASS_TAR, ORDER, WNID, escaped, is_image, unread, walk, why_ignored, wnid_in
from alexrepro.progress import progress

NOT_AN_IMAGE = "not an image by its suffix"


class Listing:
    """Lists the images of a source, counts them on stderr, and keeps what it read, and what it skips and why."""

    def __init__(self, root: Path, count: Callable[[], None] = lambda: None) -> None:
        self.root, self.count = root, count
        self.read, self.skipped = set[Path](), list[Skipped]()

    def all_skipped(self, splits: Collection[str] = ORDER) -> tuple[Skipped, ...]:
        """What was skipped, and what lies next to all that was read; splits: those that are read, see `unread`."""
        return (*self.skipped, *unread(self.root, self.read, splits=splits))

    def skip(self, at: Path, reason: str, *, within: str = "", is_loss: bool = False) -> None:
        """Keep what is not read, and the reason: a file or folder, or what lies at a path within it."""
        path = PurePosixPath(at.relative_to(self.root).as_posix(), within.lstrip("/"))
        self.skipped.append(Skipped(escaped(path), reason, is_loss))

    def forget(self, place: Path, skipped: int) -> None:
        """Take back what was read at a place that has no images after all, and all but the first that were skipped."""
        self.skipped = self.skipped[:skipped]
        self.read = {path for path in self.read if place not in (path, *path.parents)}

    def folder(self, folder: Path) -> Found:
        """The images at any depth of a folder, by their paths below it: the files first, then each folder."""
        self.read.add(folder)
        found: Found = []
        for file, reason in walk(folder):
            if reason:
                self.skip(file, reason)
            else:
                found.append((file.relative_to(folder).as_posix(), File(file)))
                self.count()
        return found

    def members(self, span: Span, *, within: str = "") -> Iterator[tuple[str, Span]]:
        """Path and location of each file in a tar that is not hidden, in its order; within: the tar if in another."""

        def skip(path: str, reason: str) -> None:
            self.skip(span.files[0], reason, within=f"{within}/{path}")

        self.read.update(span.files)
        for path, location in members(span, skip, within=within):
            if reason := why_ignored(path):
                skip(path, reason)
            else:
                yield path, location

    def tar(self, span: Span, *, within: str = "") -> Found:
        """The images in a tar by name, in the order of the names. Raises UserError if it holds two of one name."""
        found: Found = []
        for path, location in self.members(span, within=within):
            if is_image(path):
                found.append((PurePosixPath(path).name, location))
                self.count()
            else:
                self.skip(span.files[0], NOT_AN_IMAGE, within=f"{within}/{path}")
        return in_order(found, span.files[0])

    def by_class(self, span: Span) -> dict[str, Found]:
        """The images by WNID in a tar of class tars or class folders, in the order of WNIDs and names.

        An image in no class tar belongs to the class of its folder or in its name. Raises UserError if it has none.
        """
        found: dict[str, Found] = {}
        for path, location in self.members(span):
            name, folder = PurePosixPath(path).name, PurePosixPath(path).parent.name
            if packed := CLASS_TAR.fullmatch(name):
                found.setdefault(packed[1], []).extend(self.tar(location, within=name))
            elif not is_image(path):
                self.skip(span.files[0], NOT_AN_IMAGE, within=path)
            elif wnid := folder if WNID.fullmatch(folder) else wnid_in(name):
                found.setdefault(wnid, []).append((name, location))
                self.count()
            else:
                raise bad_data(
                    f"{span.files[0]} holds {escaped(path)}, whose class is not known.",
                    "A training image lies in n01440764.tar, in a folder n01440764, or has a name that begins with "
                    "n01440764_.",
                )
        for wnid in (wnid for wnid, images in found.items() if not images):
            self.skip(span.files[0], "a class tar without an image", within=f"{wnid}.tar", is_loss=True)
        return {wnid: in_order(found[wnid], span.files[0]) for wnid in sorted(found)}


@contextmanager
def listing(root: Path) -> Iterator[Listing]:
    """A listing that shows how far it has come."""
    with progress(f"reading {root}", total=None) as count:
        yield Listing(root, count)


def in_order(found: Found, file: Path) -> Found:
    """Images by name. Raises UserError if an archive holds two of one name."""
    images = sorted(found, key=lambda image: image[0])
    for (before, _), (name, _) in pairwise(images):
        if before == name:
            fix = "Unpack it, so that the later replaces the earlier, and prepare the folder."
            raise bad_data(f"{file} holds {escaped(name)} twice.", fix)
    return images
