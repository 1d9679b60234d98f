"""Class folders as people have them: every file is read, listed with a reason, or the source is refused."""

import os
from pathlib import Path

import pytest

from alexrepro.data.sources import recognize
from alexrepro.data.sources.class_folders import read
from alexrepro.data.sources.source import Skipped, Source
from alexrepro.errors import Exit, UserError

from ..hostile import picture

COMPOSED, DECOMPOSED = "\u00fcber", "u\u0308ber"


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"image")
    return root


def images(source: Source, split: str = "train") -> list[tuple[str, str]]:
    """The class and path of each image."""
    (found,) = (part for part in source.splits if part.name == split)
    return [(source.classes[image.label], image.path) for image in found.images]


def lost(source: Source) -> list[str]:
    return [item.path for item in source.skipped if item.is_loss]


def test_images_deeper_in_a_class_folder_are_read(tmp_path: Path) -> None:
    touch(tmp_path, "train/cat/1.jpg", "train/dog/images/a/2.jpg", "train/cow/cow/3.jpg")

    found = recognize(tmp_path)

    assert images(found) == [
        ("cat", "train/cat/1.jpg"), ("cow", "train/cow/cow/3.jpg"), ("dog", "train/dog/images/a/2.jpg"),
    ]  # fmt: skip


def test_an_empty_class_folder_keeps_its_label_and_is_a_loss(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.jpg", "train/c/1.jpg")
    (tmp_path / "train/b/images").mkdir(parents=True)

    found = recognize(tmp_path)

    assert (found.classes, lost(found)) == (("a", "b", "c"), ["train/b"])
    assert [image.label for image in found.splits[0].images] == [0, 2]


def test_a_class_of_other_files_only_is_a_loss_if_it_is_named_by_a_wnid(tmp_path: Path) -> None:
    touch(tmp_path, "n00000001/1.jpg", "n00000002/boxes.txt", "notes/readme.txt")

    found = recognize(tmp_path)

    assert (found.classes, lost(found)) == (("n00000001", "n00000002"), ["n00000002"])


def test_an_image_next_to_the_class_folders_is_a_loss(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.jpg", "train/stray.jpg", "train/list.txt")

    found = recognize(tmp_path)

    assert found.skipped == (
        Skipped("train/list.txt", "not a picture"),
        Skipped("train/stray.jpg", "an image outside of the class folders", is_loss=True),
    )


def test_images_in_a_folder_that_is_named_as_another_class_are_a_loss(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg", "cat/dog/2.jpg", "backup/cat/1.jpg", "backup/dog/1.jpg")

    found = recognize(tmp_path)

    assert (found.classes, lost(found)) == (("cat", "dog"), ["backup/cat", "backup/dog", "cat/dog"])
    assert [path for _, path in images(found)] == [f"{tmp_path.name}/cat/1.jpg", f"{tmp_path.name}/dog/1.jpg"]


@pytest.mark.parametrize(
    "names",
    [
        ("images/cat/1.jpg", "images/dog/1.jpg"),
        ("animals/cat/1.jpg", "animals/dog/1.jpg", "cars/vw/1.jpg"),
        ("train.X1/n00000001/1.jpg", "train.X2/n00000002/1.jpg", "train.X2/n00000003/1.jpg", "val.X/n00000001/1.jpg"),
        ("ds/train/cat/1.jpg", "ds/train/dog/1.jpg", "ds/val/cat/1.jpg"),
        ("dev/cat/1.jpg", "dev/dog/1.jpg", "eval/cat/1.jpg", "eval/dog/1.jpg"),
    ],
    ids=["one folder too high", "groups of classes", "parts of a split", "splits one deeper", "unknown splits"],
)
def test_folders_that_may_or_may_not_be_classes_are_refused(names: tuple[str, ...], tmp_path: Path) -> None:
    touch(tmp_path, *names)

    with pytest.raises(UserError, match=r"not clear which|not a layout itself|are not named train") as refused:
        recognize(tmp_path)

    assert refused.value.exit_code in {Exit.BAD_DATA, Exit.MISSING_INPUT}


@pytest.mark.parametrize("name", ["dev", "eval", "valid_set", "holdout", "test-images"])
def test_a_split_of_another_name_is_said_to_be_left_out(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "train/a/1.jpg", f"{name}/a/1.jpg")

    found = recognize(tmp_path)

    assert f"{tmp_path / name} holds class folders, but" in capsys.readouterr().err
    assert [item.path for item in found.skipped] == [name]


def test_two_folders_of_one_split_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.jpg", "val/a/1.jpg", "validation/a/2.jpg")

    with pytest.raises(UserError, match=r"val and .*validation are both the split val"):
        recognize(tmp_path)


@pytest.mark.parametrize("name", ["x.tif", "x.TIFF", "x.ppm", "x.pgm", "x.bmp", "x.webp", "x.jfif", "x.jpe", "x.heic"])
def test_a_image_is_known_by_its_suffix(name: str, tmp_path: Path) -> None:
    touch(tmp_path, f"a/{name}")

    assert len(images(recognize(tmp_path))) == 1


@pytest.mark.parametrize("name", ["x", "x.JPEG.1", "x.dat", "x."])
def test_a_image_of_another_suffix_is_known_by_its_first_bytes(name: str, tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "a/no_image", "a/1.npy")
    (tmp_path / "a" / name).write_bytes(picture())

    found = recognize(tmp_path)

    assert len(images(found)) == 2
    assert [item.path for item in found.skipped] == ["a/1.npy", "a/no_image"]


@pytest.mark.parametrize(
    "name", [".DS_Store", "._1.jpg", "Thumbs.db", "@eaDir/1.jpg", "__MACOSX/a/1.jpg", ".git/a/1.jpg"]
)
def test_what_systems_leave_behind_is_listed_and_never_read(name: str, tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", f"a/{name}", name)

    found = recognize(tmp_path)

    first = name.partition("/")[0]
    assert (found.classes, len(images(found)), lost(found)) == (("a",), 1, [])
    assert {item.path for item in found.skipped} == {first, f"a/{first}"}


def test_links_to_folders_above_end(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(tmp_path / "a")
    (tmp_path / "a/nowhere").symlink_to(tmp_path / "a/nowhere")

    found = read(tmp_path)

    assert [path for _, path in images(found)] == [f"{tmp_path.name}/a/1.jpg", f"{tmp_path.name}/b/1.jpg"]


def test_accents_may_be_written_in_two_ways_in_two_splits(tmp_path: Path) -> None:
    touch(tmp_path, f"train/{COMPOSED}/1.jpg", f"val/{DECOMPOSED}/2.jpg")

    found = recognize(tmp_path)

    assert found.classes == (COMPOSED,)
    assert [label for label, _ in images(found, "val")] == [COMPOSED]


def test_two_class_folders_that_look_the_same_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, f"{COMPOSED}/1.jpg", f"{DECOMPOSED}/2.jpg")

    with pytest.raises(UserError, match=r"look the same: 'u\\u0308ber' and '\\xfcber'"):
        recognize(tmp_path)


def test_names_that_are_no_utf8_are_spelled_out(tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xfcber")
    touch(Path(folder), os.fsdecode(b"\xff.jpg"))

    found = recognize(tmp_path)

    assert found.classes == (r"\xfcber",)
    assert images(found) == [(r"\xfcber", rf"{tmp_path.name}/\xfcber/\xff.jpg")]


def test_a_class_that_is_only_an_archive_or_a_link_to_nowhere_is_a_loss(tmp_path: Path) -> None:
    touch(tmp_path, "n00000001/1.jpg", "n00000001.tar", "n00000002.tar.gz", "n00000003.zip", "more.zip")
    (tmp_path / "n00000004").symlink_to(tmp_path / "not-mounted")

    assert lost(recognize(tmp_path)) == ["n00000002.tar.gz", "n00000003.zip", "n00000004"]


@pytest.mark.parametrize("name", ["val.tar.gz", "val.zip", "Validation.tar"])
def test_the_archive_of_a_split_that_is_not_there_is_a_loss(name: str, tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.jpg", name, "train.zip", "annotations.zip")

    assert lost(recognize(tmp_path)) == [name]
