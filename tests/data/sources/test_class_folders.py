"""Class folders as people have them: every file is read, listed with a reason, or the source is refused."""

from pathlib import Path

import pytest

from alexrepro.data.sources import recognize
from alexrepro.data.sources.class_folders import read
from alexrepro.data.sources.source import Skipped, Source
from alexrepro.errors import UserError

from ..hostile import picture
from ..layouts import touch

COMPOSED, DECOMPOSED = "\u00fcber", "u\u0308ber"


def images(source: Source, split: str = "train") -> list[tuple[str, str]]:
    """The class and path of each image."""
    (found,) = (part for part in source.splits if part.name == split)
    return [(source.classes[image.label], image.path) for image in found.images]


def lost(source: Source) -> list[str]:
    return sorted(item.path for item in source.skipped if item.is_loss)


def test_classes_are_sorted_by_the_bytes_of_their_names(tmp_path: Path) -> None:
    found = recognize(touch(tmp_path, "b/1.jpg", "B/1.JPEG", "ä/1.png", "a/2.jpg", "a/10.jpg"))

    assert found.classes == ("B", "a", "b", "ä")
    assert [image.name for image in found.splits[0].images] == ["1.JPEG", "10.jpg", "2.jpg", "1.jpg", "1.png"]


def test_split_folders_become_splits_with_images_at_any_depth(tmp_path: Path) -> None:
    touch(tmp_path, "train/cat/1.jpg", "train/dog/images/a/2.jpg", "train/cow/cow/3.jpg")
    touch(tmp_path, *(f"{split}/{name}/1.jpg" for split in ("validation", "test") for name in ("cat", "cow", "dog")))

    found = recognize(tmp_path)

    assert [split.name for split in found.splits] == ["train", "val", "test"]
    assert images(found) == [
        ("cat", "train/cat/1.jpg"), ("cow", "train/cow/cow/3.jpg"), ("dog", "train/dog/images/a/2.jpg"),
    ]  # fmt: skip


LOSSES: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "a WNID with other files only": (("n00000001/1.jpg", "n00000002/a.txt", "notes/a.txt"), ["n00000002"]),
    "an image next to the classes": (("train/a/1.jpg", "train/stray.jpg", "train/list.txt"), ["train/stray.jpg"]),
    "folders named as another class": (
        ("cat/1.jpg", "dog/1.jpg", "cat/dog/2.jpg", "backup/cat/1.jpg", "backup/dog/1.jpg"),
        ["backup/cat", "backup/dog", "cat/dog"],
    ),
    "classes that are archives": (
        ("n00000001/1.jpg", "n00000001.tar", "n00000002.tar.gz", "n00000003.zip", "more.zip"),
        ["n00000002.tar.gz", "n00000003.zip"],
    ),
    "a split that is an archive": (("train/a/1.jpg", "val.tar.gz", "train.zip", "annotations.zip"), ["val.tar.gz"]),
}


@pytest.mark.parametrize(("names", "losses"), LOSSES.values(), ids=LOSSES)
def test_what_looks_like_data_and_is_not_read_is_a_loss(
    names: tuple[str, ...], losses: list[str], tmp_path: Path
) -> None:
    assert lost(recognize(touch(tmp_path, *names))) == losses


def test_an_empty_class_folder_keeps_its_label_and_a_dangling_link_is_a_loss(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.jpg", "train/c/1.jpg")
    (tmp_path / "train/b/images").mkdir(parents=True)
    (tmp_path / "train/d").symlink_to(tmp_path / "not-mounted")

    found = recognize(tmp_path)

    assert (found.classes, lost(found)) == (("a", "b", "c"), ["train/b", "train/d"])
    assert [image.label for image in found.splits[0].images] == [0, 2]
    assert Skipped("train/b", "a class folder without an image", is_loss=True) in found.skipped


REFUSED = {
    "one folder too high": (("images/cat/1.jpg", "images/dog/1.jpg"), "not a layout itself"),
    "groups of classes": (("animals/cat/1.jpg", "animals/dog/1.jpg", "cars/vw/1.jpg"), "not clear which|not a layout"),
    "parts of a split": (
        ("train.X1/n00000001/1.jpg", "train.X2/n00000002/1.jpg", "train.X2/n00000003/1.jpg"), "are not named train"
    ),
    "splits one deeper": (("ds/train/cat/1.jpg", "ds/train/dog/1.jpg", "ds/val/cat/1.jpg"), "not a layout itself"),
    "unknown splits": (
        ("dev/cat/1.jpg", "dev/dog/1.jpg", "eval/cat/1.jpg", "eval/dog/1.jpg"), "not clear which|not a layout"
    ),
    "two folders of one split": (
        ("train/a/1.jpg", "val/a/1.jpg", "validation/a/2.jpg"), "two folders of the split val"
    ),
    "other classes in validation": (("train/a/1.jpg", "val/b/1.jpg"), "val has other classes than train: a, b"),
    "names that look the same": (
        (f"{COMPOSED}/1.jpg", f"{DECOMPOSED}/2.jpg"), "names look the same"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("names", "what"), REFUSED.values(), ids=REFUSED)
def test_folders_that_can_be_read_in_two_ways_are_refused(names: tuple[str, ...], what: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=what):
        recognize(touch(tmp_path, *names))


@pytest.mark.parametrize("name", ["dev", "valid_set", "test-images"])
def test_a_split_of_another_name_is_reported_as_left_out(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = recognize(touch(tmp_path, "train/a/1.jpg", f"{name}/a/1.jpg"))

    assert f"{tmp_path / name} holds class folders, but" in capsys.readouterr().err
    assert [item.path for item in found.skipped] == [name]


@pytest.mark.parametrize("name", ["x.tif", "x.TIFF", "x.ppm", "x.pgm", "x.bmp", "x.webp", "x.jfif", "x.jpe", "x.heic"])
def test_an_image_is_known_by_its_suffix(name: str, tmp_path: Path) -> None:
    assert len(images(recognize(touch(tmp_path, f"a/{name}")))) == 1


@pytest.mark.parametrize("name", ["x", "x.JPEG.1", "x.dat", "x."])
def test_an_image_of_another_suffix_is_known_by_its_first_bytes(name: str, tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "a/no_image", "a/1.npy")
    (tmp_path / "a" / name).write_bytes(picture())

    found = recognize(tmp_path)

    assert len(images(found)) == 2
    assert [item.path for item in found.skipped] == ["a/1.npy", "a/no_image"]


@pytest.mark.parametrize("name", [".DS_Store", "._1.jpg", "Thumbs.db", "@eaDir/1.jpg", "__MACOSX/a/1.jpg"])
def test_what_systems_leave_behind_is_listed_and_never_read(name: str, tmp_path: Path) -> None:
    found = recognize(touch(tmp_path, "a/1.jpg", f"a/{name}", name))

    first = name.partition("/")[0]
    assert (found.classes, len(images(found)), lost(found)) == (("a",), 1, [])
    assert {item.path for item in found.skipped} == {first, f"a/{first}"}


def test_links_to_folders_above_end(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(tmp_path / "a")
    (tmp_path / "a/nowhere").symlink_to(tmp_path / "a/nowhere")

    assert [path for _, path in images(read(tmp_path))] == [f"{tmp_path.name}/a/1.jpg", f"{tmp_path.name}/b/1.jpg"]


def test_accents_may_be_written_in_two_ways_in_two_splits(tmp_path: Path) -> None:
    found = recognize(touch(tmp_path, f"train/{COMPOSED}/1.jpg", f"val/{DECOMPOSED}/2.jpg"))

    assert (found.classes, [label for label, _ in images(found, "val")]) == ((COMPOSED,), [COMPOSED])


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_folder_of_one_split_is_named_after_the_folder_above_it(split: str, tmp_path: Path) -> None:
    touch(tmp_path / "flowers" / split, "a/1.jpg", "b/1.jpg", content=picture())

    found = recognize(tmp_path / "flowers" / split)

    assert (found.dataset, [one.name for one in found.splits]) == ("flowers", [split])
