"""Tars and Kaggle's zip as they lie after a download: whole, in parts, packed again, unfinished or damaged."""

import csv
import gzip
import io
import lzma
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from alexrepro.data.sources import recognize
from alexrepro.data.sources.archives import archive_files
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.errors import UserError

from ..hostile import END_OF_TAR, class_tar, member, picture, train_tar, zip_of
from ..layouts import write

TAR, VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
STEM = r"ILSVRC2012_im\w*_train"
WNIDS = ("n00000001", "n00000002")
TRAINING = [f"train/{wnid}/{wnid}_1.JPEG" for wnid in WNIDS]
TREE, ZIP = "ILSVRC/Data/CLS-LOC", "imagenet-object-localization-challenge.zip"
Make = Callable[[Path], object]


def tar_of_folders(prefix: str) -> bytes:
    names = (f"{prefix}{wnid}/{wnid}_1.JPEG" for wnid in WNIDS)
    return member(prefix or "./", kind=tarfile.DIRTYPE) + b"".join(member(n, picture()) for n in names) + END_OF_TAR


def cut(folder: Path, suffixes: list[str]) -> None:
    data = train_tar()
    step = -(-len(data) // len(suffixes))
    for number, suffix in enumerate(suffixes):
        write(folder / f"{TAR}{suffix}", data[number * step : (number + 1) * step])


def class_tars(folder: Path) -> None:
    for wnid in WNIDS:
        write(folder / f"{wnid}.tar", class_tar(wnid))


def numbered(*numbers: int) -> bytes:
    return b"".join(member(f"ILSVRC2012_val_{n:08d}.JPEG", picture()) for n in numbers) + END_OF_TAR


READ: dict[str, Make] = {
    "a tar of class tars": lambda top: write(top / TAR, train_tar()),
    **{
        f"parts {names[0]} to {names[-1]}": lambda top, names=names: cut(top, names)
        for names in (
            [f".{number}" for number in range(1, 13)], [f".{number:03d}" for number in range(12)],
            [f".a{letter}" for letter in "abcdefghijkl"], [f"a{letter}" for letter in "abcdefghijkl"],
            [f".part{number}" for number in range(1, 13)], [f"_{number:02d}" for number in range(12)],
        )
    },
    "parts among checksums": lambda top: (
        cut(top, [".1", ".2"]), [write(top / f"{TAR}{end}") for end in (".000.torrent", ".md5", ".sha1", ".asc")]
    ),
    "a browser's copy": lambda top: write(top / "ILSVRC2012_img_train (1).tar", train_tar()),
    "a tar named as if compressed": lambda top: write(top / f"{TAR}.gz", train_tar()),
    "a tar in the folder of its split": lambda top: write(top / "train" / TAR, train_tar()),
    "a tar of class folders": lambda top: write(top / TAR, tar_of_folders("")),
    "a tar of Kaggle's tree": lambda top: write(top / TAR, tar_of_folders(f"./{TREE}/train/")),
    "class tars": class_tars,
    "class tars in a folder": lambda top: class_tars(top / "train"),
    "the tar of all class tars": lambda top: write(top / "fall11_whole.tar", train_tar()),
}  # fmt: skip


@pytest.mark.parametrize("make", READ.values(), ids=READ)
def test_forms_of_the_training_archive_give_the_same_images(make: Make, tmp_path: Path) -> None:
    make(tmp_path)

    (split,) = recognize(tmp_path).splits

    assert [image.path for image in split.images] == TRAINING
    assert split.images[1].read().startswith(b"\xff\xd8")


ODD = {
    "a link": ("n00000003.tar", member("n00000003.tar", kind=tarfile.SYMTYPE, link="n00000001.tar")),
    "hidden": ("._n00000001.tar", member("._n00000001.tar", b"resource fork")),
    "hidden in a folder": ("PaxHeaders.7/n00000001.tar", member("PaxHeaders.7/n00000001.tar", b"30 mtime=1.5\n")),
    "not an image by its suffix": ("readme.txt", member("readme.txt", b"text")),
}


@pytest.mark.parametrize("reason", ODD)
def test_a_member_that_is_not_read_is_listed(reason: str, tmp_path: Path) -> None:
    path, added = ODD[reason]
    write(tmp_path / TAR, train_tar(added))

    found = recognize(tmp_path)

    assert [image.path for image in found.splits[0].images] == TRAINING
    assert [(item.path, item.reason) for item in found.skipped] == [(f"{TAR}/{path}", reason.partition(" in a")[0])]


def test_a_class_tar_without_images_is_a_gap(tmp_path: Path) -> None:
    write(tmp_path / TAR, train_tar(member("n00000003.tar", END_OF_TAR)))

    assert any(gap.startswith("n00000003 of 3 classes has no training image") for gap in recognize(tmp_path).gaps)


def test_the_longer_numbers_that_split_goes_on_with_are_no_gap(tmp_path: Path) -> None:
    numbers = [*(f"{number:02d}" for number in range(90)), "9000", "9001"]
    for number in numbers:
        write(tmp_path / f"{TAR}.{number}")

    assert [file.name for file in archive_files(tmp_path, STEM)] == [f"{TAR}.{number}" for number in numbers]


def training(wnids: tuple[str, ...] = WNIDS[::-1]) -> dict[str, bytes]:
    return {
        f"{TREE}/train/{wnid}/{wnid}_{n}.JPEG": picture(10 * at + n) for at, wnid in enumerate(wnids) for n in range(3)
    }


def locked() -> bytes:
    data = bytearray(zip_of(training()))
    data[data.index(b"PK\1\2") + 8] |= 1  # the flag of encryption of the first member
    return bytes(data)


INNER = "imagenet_object_localization_patched2019.tar.gz"
ZIPS: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "tar.gz within": (lambda: zip_of({INNER: b"\x1f\x8b"}), "gzip stream", f"tar -xzf {INNER}"),
    "cut short": (lambda: zip_of(training())[:-60], "not a whole zip", "wget -c"),
    "encrypted": (locked, "cannot be read in place: .* is encrypted", "unzip .*\\.zip -d .*-challenge$"),
    "packed by bzip2": (lambda: zip_of(training(), zipfile.ZIP_BZIP2), "method deflate", "unzip"),
    "no images": (lambda: zip_of({"readme.txt": b""}), "holds no training images", "Unzip it"),
}


def named(*names: str) -> Make:
    return lambda top: [write(top / name) for name in names]


WHOLE = train_tar()
REFUSED: dict[str, tuple[Make, str, str]] = {
    **{
        f"parts {', '.join(ends)}": (named(*(f"{TAR}{end}" for end in ends)), rf"missing before {TAR}\{at}", "Download")
        for ends, at in (
            ((".1", ".2", ".4"), ".4"), ((".002", ".003"), ".002"), ((".aa", ".ac"), ".ac"),
            ((*(f".{n}" for n in range(1, 9)), ".10"), ".10"),
            ((".1", ".001", ".2"), ".001"), ((".aa", ".ab", ".00"), ".aa"),
        )
    },
    "gzip": (
        lambda top: write(top / f"{TAR}.gz", gzip.compress(WHOLE)), "is compressed with gzip", r": gunzip \S+r\.gz$"
    ),
    "xz": (lambda top: write(top / f"{TAR}.xz", lzma.compress(WHOLE)), "is compressed with xz", r": unxz \S+\.xz$"),
    "validation in tgz": (
        lambda top: (write(top / TAR, WHOLE), write(top / "ILSVRC2012_img_val.tgz", b"\x1f\x8b")),
        "compressed", "gunzip",
    ),
    "gzip in parts": (
        lambda top: (write(top / f"{TAR}.gz.001", b"\x1f\x8b"), write(top / f"{TAR}.gz.002")), "compressed with gzip",
        "Unpack it, its parts joined: ",
    ),
    "gzip without the suffix": (
        lambda top: write(top / TAR, gzip.compress(WHOLE)), "compressed with gzip", r"mv (\S+) \1\.gz && gunzip \1\.gz$"
    ),
    "an unfinished download": (named(f"{TAR}.part"), r"\.part is an unfinished download", ""),
    "an unfinished download of aria2": (named(TAR, f"{TAR}.aria2"), r"\.aria2 is an unfinished download", ""),
    "an unfinished part": (named(f"{TAR}.001", f"{TAR}.002.part"), r"\.part is an unfinished download", ""),
    "cut short": (
        lambda top: write(top / TAR, WHOLE[: WHOLE.rindex(b"n00000002_1.JPEG") + 700]),
        rf"{TAR} is cut short: it ends at byte \S+ within 'n00000002.tar'", "wget -c",
    ),
    "a class tar twice": (
        lambda top: write(top / TAR, train_tar(member("n00000002.tar", class_tar(WNIDS[1])))),
        r"holds n00000002_1\.JPEG twice", "Unpack",
    ),
    "an image twice": (
        lambda top: write(
            top / TAR, member("n00000001.tar", class_tar(WNIDS[0], member("x/n00000001_1.JPEG"))) + END_OF_TAR
        ),
        r"holds n00000001_1\.JPEG twice", "Unpack",
    ),
    "a validation image twice": (
        lambda top: (write(top / TAR, WHOLE), write(top / VAL_TAR, numbered(1, 1))), r"00000001\.JPEG twice", "Unpack"
    ),
    "an image of no class": (
        lambda top: write(top / TAR, train_tar(member("cat.jpg", picture()))), "cat.jpg, whose class", "n01440764.tar"
    ),
    "an empty class tar": (
        lambda top: write(top / TAR, train_tar(member("n00000003.tar"))), r"n00000003\.tar in \S+ is cut short", ""
    ),
    **{
        f"a zip {name}": (lambda top, data=data: write(top / ZIP, data()), what, fix)
        for name, (data, what, fix) in ZIPS.items()
    },
    "other class tars in val": (
        lambda top: (class_tars(top / "train"), write(top / "val/n00000001.tar", class_tar(WNIDS[0]))),
        "val has other classes than train: n00000002", "same classes",
    ),
    "a shard in gzip": (
        lambda top: write(top / "data/train_images_1.tar.gz", gzip.compress(WHOLE)), r"\.gz is compressed", "gunzip"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "what", "fix"), REFUSED.values(), ids=REFUSED)
def test_an_archive_that_cannot_be_read_in_place_says_what_to_type(
    make: Make, what: str, fix: str, tmp_path: Path
) -> None:
    make(tmp_path)

    with pytest.raises(UserError, match=what) as refused:
        recognize(tmp_path)

    assert re.search(fix, refused.value.fix)


def kaggle_zip() -> bytes:
    """Two classes, two images of each for validation, listed in another order than the files have."""
    truth = io.StringIO()
    rows = [(f"ILSVRC2012_val_{number:08d}", f"{WNIDS[number % 2]} 1 2 3 4 ") for number in (3, 1, 4, 2)]
    csv.writer(truth).writerows([("ImageId", "PredictionString"), *rows])
    files = {
        "LOC_val_solution.csv": truth.getvalue().encode(),
        "LOC_synset_mapping.txt": b"n00000001 one, X\nn00000002 two\n",
        **{f"{TREE}/val/ILSVRC2012_val_{number:08d}.JPEG": picture(100 + number) for number in (1, 2, 3, 4)},
        f"{TREE}/test/ILSVRC2012_test_00000001.JPEG": picture(200),
        **training(),
        "ILSVRC/Annotations/CLS-LOC/train/n00000001/n00000001_1.xml": b"<annotation/>",
    }
    return zip_of(files, zipfile.ZIP_STORED)


def test_a_damaged_member_is_left_out_and_named(tmp_path: Path) -> None:
    content = bytearray(kaggle_zip())
    content[content.index(picture(2)) + 300] ^= 1
    (tmp_path / "it.zip").write_bytes(content)

    store = prepare(
        tmp_path / "it.zip", out=tmp_path / "stores", workers=1, options=Options(allow_partial=True, max_bad=1)
    )["train"]

    (defect,) = store.manifest.defects
    assert defect["path"] == "train/n00000002/n00000002_2.JPEG"
    assert "not the bytes that were packed" in defect["reason"]


def test_members_of_a_zip_that_are_not_read_are_listed_by_folder(tmp_path: Path) -> None:
    names = (f"{TREE}/train/{WNIDS[0]}/1.JPEG", f"{TREE}/val/other.JPEG", f"{TREE}/val/list.txt", "docs/logo.png")
    write(tmp_path / "it.zip", zip_of(dict.fromkeys(names, picture())))

    skipped = recognize(tmp_path / "it.zip").skipped

    assert sorted((item.path, item.is_loss) for item in skipped) == [
        (f"{TREE}/val", False), (f"{TREE}/val", True), ("docs", False),
    ]  # fmt: skip


def test_a_zip_with_fewer_images_than_the_release_is_not_complete(tmp_path: Path) -> None:
    write(tmp_path / "it.zip", kaggle_zip())

    found = recognize(tmp_path / "it.zip")

    assert found.gaps[:3] == ("2 of 1,000 classes", "6 of 1,281,167 train images", "4 of 50,000 val images")
    assert [(split.name, split.labeled) for split in found.splits] == [("train", True), ("val", True), ("test", False)]
    assert found.class_names == ("one, X", "two")
