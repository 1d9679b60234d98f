"""Lists of images that stay small: some 20 bytes an image, as compressed columns, with one block unpacked at a time.

All of ImageNet is 14 million images; as objects, their list would fill 8 GB.
"""

import marshal
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from itertools import accumulate, chain, groupby, islice, pairwise, repeat
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, overload

from alexrepro.data.sources.source import UNLABELED, Found, ImageFile, Location, Split, bad_data, escaped

BLOCK = 1024  # images that are compressed together
COLUMNS = (int, str, bool, int | None)  # types of the fields of a location that become columns

T = TypeVar("T")
Row = tuple[str, Location]
Reader = Callable[[Location], tuple[Any, ...]]


class _Listed(Sequence[T]):
    """A sequence whose items are made when they are asked for, from some number on."""

    def since(self, first: int) -> Iterator[T]:
        """The items from number `first` on."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[T]:
        return self.since(0)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> list[T]: ...
    def __getitem__(self, at: int | slice) -> T | list[T]:
        numbers = range(len(self))[at]
        if isinstance(numbers, int):
            return next(self.since(numbers))
        return list(islice(self.since(numbers.start), 0, len(numbers) * numbers.step, numbers.step))


class Block(NamedTuple):
    """Some rows whose locations are of one kind, and have all fields in common but those that are columns."""

    kind: Callable[..., Location]
    shared: tuple[Any, ...]
    columns: bytes

    def rows(self) -> Iterator[Row]:
        """Unpack the rows."""
        names, *own = marshal.loads(zlib.decompress(self.columns))
        return zip(names, map(self.kind, *map(repeat, self.shared), *own), strict=False)


class Packed(_Listed[Row]):
    """File names and where to read them. Of a location's fields, those that become columns are the last ones."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._blocks: list[Block] = []
        self._starts = [0]
        self.extend(rows)

    def extend(self, rows: Iterable[Row]) -> None:
        """Add rows; those in common with their neighbors become one block."""
        for (kind, shared), same in groupby(rows, key=lambda row: _in_common(row[1])):
            _, own = _readers(kind)
            while rest := list(islice(same, BLOCK)):
                columns = [[name for name, _ in rest], *map(list, zip(*(own(at) for _, at in rest), strict=True))]
                self._blocks.append(Block(kind, shared, zlib.compress(marshal.dumps(columns), 1)))
                self._starts.append(self._starts[-1] + len(rest))

    def __len__(self) -> int:
        return self._starts[-1]

    def since(self, first: int) -> Iterator[Row]:  # noqa: D102
        number = bisect_right(self._starts, first) - 1
        rows = chain.from_iterable(block.rows() for block in self._blocks[number:])
        return islice(rows, first - self._starts[number], None)


def _in_common(location: Location) -> tuple[Callable[..., Location], tuple[Any, ...]]:
    return type(location), _readers(type(location))[0](location)


@cache
def _readers(kind: Callable[..., Location]) -> tuple[Reader, Reader]:
    """Readers of the fields of a location that many have in common, and of those that become columns."""
    names: dict[bool, list[str]] = {False: [], True: []}
    for each in fields(kind):  # type: ignore[arg-type]  # a class
        names[each.type in COLUMNS].append(each.name)
    return _reader(names[False]), _reader(names[True])


def _reader(names: Sequence[str]) -> Reader:
    if not names:
        return lambda _: ()
    read = attrgetter(*names)
    return read if len(names) > 1 else lambda location: (read(location),)


def in_order(found: Iterable[Row], file: Path) -> Packed:
    """Images by name. Raises UserError if an archive holds two of one name."""
    images = sorted(found, key=lambda image: image[0])
    for (before, _), (name, _) in pairwise(images):
        if before == name:
            fix = "Unpack it, so that the later replaces the earlier, and prepare the folder."
            raise bad_data(f"{file} holds {escaped(name)} twice.", fix)
    return Packed(images)


class Images(_Listed[ImageFile]):
    """The images of a split, part by part.

    parts: what the paths begin with, names and locations, and a label for each image or one for all.
    """

    def __init__(self, parts: Iterable[tuple[str, Found, Sequence[int]]]) -> None:
        self._parts = list(parts)
        self._starts = [0, *accumulate(len(found) for _, found, _ in self._parts)]

    def __len__(self) -> int:
        return self._starts[-1]

    def since(self, first: int) -> Iterator[ImageFile]:  # noqa: D102
        number = bisect_right(self._starts, first) - 1
        for start, (before, found, labels) in zip(self._starts[number:], self._parts[number:], strict=False):
            begin = max(first - start, 0)
            rows = found.since(begin) if isinstance(found, Packed) else islice(found, begin, None)
            own = repeat(labels[0]) if len(labels) == 1 else islice(labels, begin, None)
            for (name, location), label in zip(rows, own, strict=False):
                yield ImageFile(escaped(before + name), label, location)

    def moved(self, locations: Mapping[str, Location]) -> "Images":
        """The same images, those with these file names at other locations."""
        return Images(
            (before, Packed((name, locations.get(name.rpartition("/")[2], at)) for name, at in found), labels)
            for before, found, labels in self._parts
        )

    @property
    def labels(self) -> set[int]:
        """The labels that occur."""
        return {label for _, found, labels in self._parts if len(found) for label in labels}


def class_split(split: str, by_class: Mapping[str, Found], classes: Sequence[str]) -> Split:
    """A split whose images are known by class, in the order of the labels."""
    parts = ((f"{split}/{name}/", by_class.get(name, ()), [label]) for label, name in enumerate(classes))
    return Split(split, Images(parts))


def numbered_split(split: str, found: Found, labels: Sequence[int] | None) -> Split:
    """The numbered images in their order, with their labels if they are known."""
    known = [UNLABELED] if labels is None else array("i", labels)
    return Split(split, Images([(f"{split}/", found, known)]), labeled=labels is not None)


def without_training(classes: Sequence[str], splits: Sequence[Split]) -> Iterator[str]:
    """A remark on the classes without a training image, if there is a training split."""
    for split in (split for split in splits if split.name == "train"):
        used = split.images.labels - {UNLABELED}
        unused = [name for label, name in enumerate(classes) if label not in used]
        if unused and used:
            more = f" (and {len(unused) - 1:,} more)" if len(unused) > 1 else ""
            yield f"{unused[0]}{more} of {len(classes):,} classes has no training image"
