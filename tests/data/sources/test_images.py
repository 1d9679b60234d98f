"""Lists of images as compressed columns: what goes in comes out, and little memory is used."""

from pathlib import Path

import pytest

from alexrepro.data.sources import images
from alexrepro.data.sources.archives import Span
from alexrepro.data.sources.images import Images, Packed
from alexrepro.data.sources.kaggle import ZipMember
from alexrepro.data.sources.source import File, ImageFile, Location
from alexrepro.data.sources.table_files import Row

TAR, OTHER = (Path("a.tar"),), (Path("b.tar.1"), Path("b.tar.2"))
LOCATIONS: list[Location] = [
    *(Span(TAR, (10**12,), 512 * number, 1000 + number) for number in range(5)),
    Span(OTHER, (7, 9), 2**40, 3),
    *(File(Path("train/a"), f"below/\udcff{number}.jpg") for number in range(3)),
    ZipMember(Path("c.zip"), 1, 2, 3, 2**32 - 1, True),
    Row(Path("d.parquet"), "image", None, 4),
]
ROWS = [(f"{number}.JPEG", location) for number, location in enumerate(LOCATIONS)]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "BLOCK", 2)


def test_every_kind_of_location_comes_back_as_it_was() -> None:
    packed = Packed(iter(ROWS))

    assert list(packed) == ROWS
    assert [packed[number] for number in range(len(ROWS))] == ROWS
    assert (packed[3:8], packed[-1], len(packed)) == (ROWS[3:8], ROWS[-1], len(ROWS))


def test_images_have_the_path_and_label_of_their_part() -> None:
    found = Images([("a/", Packed(ROWS[:4]), [7]), ("b/", [], [8]), ("c/", ROWS[4:7], [1, 2, -1])])

    plain = [ImageFile(f"a/{name}", 7, at) for name, at in ROWS[:4]]
    plain += [ImageFile(f"c/{name}", label, at) for (name, at), label in zip(ROWS[4:7], (1, 2, -1), strict=True)]
    assert list(found) == plain
    assert [found[first : first + 3] for first in range(0, 7, 3)] == [plain[:3], plain[3:6], plain[6:]]
    assert found.labels == {7, 1, 2, -1}
    assert [image.location for image in found.moved({"5.JPEG": LOCATIONS[0]})][5] == LOCATIONS[0]
