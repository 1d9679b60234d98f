"""ILSVRC as people have it: every image is read, listed with a reason, or the source is refused; labels go by name."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from alexrepro.data.sources import recognize
from alexrepro.data.sources.images import Images
from alexrepro.data.sources.labels import is_2012, refuse_wrong_labels, table_labels, words_by_wnid
from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.sources.official_files import truth
from alexrepro.data.sources.source import File, Source, Split
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.errors import UserError

from .. import layouts
from ..hostile import picture
from ..layouts import PICTURES, TRAIN, WORDS, Pictures, tar_of

WNIDS = ("n00000010", "n00000020")
VAL = tuple(f"ILSVRC2012_val_0000000{number}.JPEG" for number in (1, 2, 3, 4))
LABELS = [1, 0, 1, 0]
CAFFE = "".join(f"{VAL[number - 1]} {number % 2}\n" for number in (3, 1, 4, 2))
KAGGLE = "ImageId,PredictionString\n" + "".join(
    f"{VAL[number - 1].removesuffix('.JPEG')},{WNIDS[number % 2]} 1 2 3 4 \n" for number in (3, 1, 4, 2)
)


def put(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(picture(number))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Training images of two classes and flat validation images with Caffe's labels."""
    put(tmp_path / "ds", *(f"train/{wnid}/{wnid}_{number}.JPEG" for wnid in WNIDS for number in (1, 2)))
    put(tmp_path / "ds", *(f"val/{name}" for name in VAL))
    (tmp_path / "ds/val.txt").write_text(CAFFE)
    (tmp_path / "ds/ILSVRC2012_readme.txt").write_text("which year it is")
    return tmp_path / "ds"


@pytest.fixture
def miniature(tmp_path: Path) -> Path:
    write_miniature(tmp_path, train_per_class=1, val_per_class=1, test_per_class=1)
    return tmp_path


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return layouts.deal(picture(number) for number in range(PICTURES))


def val(source: Source) -> list[tuple[str, int]]:
    return [(image.name, image.label) for split in source.splits if split.name == "val" for image in split.images]


def lost(source: Source) -> list[str]:
    return sorted(item.path for item in source.skipped if item.is_loss)


def move(root: Path, name: Callable[[int, str], str]) -> None:
    """Rename the validation images; name: of number and name."""
    for number, old in enumerate(VAL, 1):
        new = root / name(number, old)
        new.parent.mkdir(exist_ok=True)
        (root / "val" / old).rename(new)


def by_wnid(number: int, name: str) -> str:
    return name.replace(".JPEG", f"_{WNIDS[number % 2]}.JPEG")


PLACES: dict[str, Callable[[int, str], str]] = {
    "one folder deeper": lambda _, name: f"val/ILSVRC2012_img_val/{name}",
    "next to train": lambda _, name: name,
    "in validation/": lambda _, name: f"validation/{name}",
    "in Val/": lambda _, name: f"Val/{name}",
    "as .png": lambda _, name: f"val/{name.replace('.JPEG', '.png')}",
    "without a suffix": lambda _, name: f"val/{name.replace('.JPEG', '')}",
    "in class folders": lambda number, name: f"val/{WNIDS[number % 2]}/{name}",
}


@pytest.mark.parametrize("name", PLACES.values(), ids=PLACES)
def test_validation_images_are_found_with_their_labels(name: Callable[[int, str], str], root: Path) -> None:
    move(root, name)

    assert sorted(label for _, label in val(recognize(root))) == sorted(LABELS)


@pytest.mark.parametrize("name", [lambda n, _: f"val/{WNIDS[n % 2]}/photo{n}.jpg", lambda n, s: f"val/{by_wnid(n, s)}"])
def test_folders_and_names_of_wnids_label_the_images_without_a_table(
    name: Callable[[int, str], str], root: Path
) -> None:
    (root / "val.txt").unlink()
    move(root, name)

    assert {(int(re.findall(r"\d+(?=\.jpg|_n0)", name)[0]) % 2, label) for name, label in val(recognize(root))} == {
        (0, 0), (1, 1),
    }  # fmt: skip


def test_a_table_of_2012_does_not_label_the_images_of_2010() -> None:
    known, names = {wnid: label for label, wnid in enumerate(WNIDS)}, ["ILSVRC2010_val_00000001.JPEG"]

    with pytest.raises(UserError, match="no row for 1 of 1 images"):
        table_labels(CAFFE, Path("val.txt"), names, known)


def edited(old: str, new: str) -> Callable[[str], bytes]:
    return lambda text: text.replace(old, new).encode()


CAFFE_FORMS: dict[str, Callable[[str], bytes]] = {
    "with a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "CRLF": edited("\n", "\r\n"),
    "old Mac": edited("\n", "\r"),
    "blank lines": edited("\n", "\n\n"),
    "folders": edited("ILSVRC", "val/ILSVRC"),
    "folders of Windows": edited("ILSVRC", r"D:\my val\ILSVRC"),
    "tabs": edited(" ", "\t"),
    "quotes": lambda text: text.replace("ILSVRC", '"ILSVRC').replace(" ", '","').replace("\n", '"\n').encode(),
    "trailing blanks": edited("\n", " \t\n"),
    "headings": lambda text: ("filename label\n" + text).encode(),
    "no suffixes": edited(".JPEG", ""),
    "WNIDs": lambda text: text.replace(" 0", " n00000010").replace(" 1", " n00000020").encode(),
    "a line twice": lambda text: (text + text.split("\n")[0] + "\n").encode(),
}
KAGGLE_FORMS = {
    "semicolons": edited(",", ";"),
    "tabs": edited(",", "\t"),
    "suffixes": edited(",n", ".JPEG,n"),
    "CRLF with a mark": lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
    "quotes": lambda text: "\n".join(f'"{line}"'.replace(",", '","') for line in text.split("\n")[:-1]).encode(),
    "another column": lambda text: "\n".join(f"0,{line}" for line in text.split("\n")[:-1]).encode(),
    "headings in small letters": edited("ImageId", "imageid "),
}
FORMS = [("val.txt", CAFFE, form) for form in CAFFE_FORMS.values()]
FORMS += [("LOC_val_solution.csv", KAGGLE, form) for form in KAGGLE_FORMS.values()]


@pytest.mark.parametrize(
    ("file", "text", "form"), FORMS, ids=[*CAFFE_FORMS, *(f"Kaggle {name}" for name in KAGGLE_FORMS)]
)
def test_forms_of_a_table_give_the_same_labels(file: str, text: str, form: Callable[[str], bytes], root: Path) -> None:
    (root / "val.txt").unlink()
    (root / file).write_bytes(form(text))

    assert [label for _, label in val(recognize(root))] == LABELS


WRONG = {
    "one-based": (CAFFE.replace(" 1", " 2").replace(" 0", " 1"), "from 1 to 2"),
    "of other classes": (CAFFE.replace(" 1", " 7"), "from 0 to 7"),
    "words": (CAFFE.replace(" 1", " tench"), "line 1|line 2"),
    "two labels": (CAFFE + f"{VAL[0]} 0\n", r"ILSVRC2012_val_00000001 two labels, 1 and 0"),
    "an image lacks": (CAFFE.replace("0002.JPEG", "0009.JPEG"), "no row for 1 of 4 images"),
    "unknown WNIDs": (CAFFE.replace(" 1", " n00000099").replace(" 0", " n00000010"), "n00000099"),
    "empty": ("", "no row for 4 of 4"),
}


@pytest.mark.parametrize(("text", "what"), WRONG.values(), ids=WRONG)
def test_a_wrong_val_txt_is_refused_by_name(text: str, what: str, root: Path) -> None:
    (root / "val.txt").write_text(text)

    with pytest.raises(UserError, match=rf"val\.txt cannot give the labels: .*({what})"):
        recognize(root)


def test_a_table_may_have_rows_of_more_images_than_are_there(root: Path) -> None:
    (root / "val" / VAL[1]).unlink()

    assert [label for _, label in val(recognize(root))] == [1, 1, 0]


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "the same number twice": (lambda top: put(top, f"val/{WNIDS[0]}/{VAL[0]}"), "number 00000001 2 times"),
    "images sorted in part": (
        lambda top: ((top / "val.txt").unlink(), put(top, f"val/{WNIDS[0]}/{VAL[0]}"), (top / "val" / VAL[0]).unlink()),
        "images in folders of other classes .* or some in no class",
    ),
    "folders of other classes": (
        lambda top: ((top / "val" / VAL[0]).unlink(), put(top, f"val/{WNIDS[0]}/{VAL[0]}")),
        "in folders of other classes than their labels",
    ),
    "a test folder of other names": (lambda top: put(top, "test/photo.jpg"), "no images under their official names"),
    "a zip of the test images": (
        lambda top: (top / "ILSVRC2012_img_test.zip").write_bytes(b"PK\x03\x04"), "is compressed with zip"
    ),
    "two years": (lambda top: put(top, "ILSVRC2010_images_train.tar"), "holds ILSVRC-2010 and 2012"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "what"), REFUSED.values(), ids=REFUSED)
def test_images_that_would_be_lost_in_silence_are_refused(
    change: Callable[[Path], object], what: str, root: Path
) -> None:
    change(root)

    with pytest.raises(UserError, match=what):
        recognize(root)


LOSSES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "other names among the numbered": (
        lambda top: put(top, "val/preview.jpg", "val/ILSVRC2012_test_00000001.JPEG"),
        ["val/ILSVRC2012_test_00000001.JPEG", "val/preview.jpg"],
    ),
    "folders that are not classes": (
        lambda top: put(top, "train/more/1.jpg", "train/2.jpg"),
        ["train/2.jpg", "train/more"],
    ),
    "a replacement of no image": (
        lambda top: put(top, f"patch_images/val/{VAL[0]}", "patch_images/val/ILSVRC2012_val_00000077.JPEG"),
        ["patch_images/val/ILSVRC2012_val_00000077.JPEG"],
    ),
}


@pytest.mark.parametrize(("change", "losses"), LOSSES.values(), ids=LOSSES)
def test_images_that_are_not_read_are_losses(change: Callable[[Path], object], losses: list[str], root: Path) -> None:
    change(root)

    assert lost(recognize(root)) == losses


def test_half_extracted_training_images_are_read_from_folders_and_tars(root: Path) -> None:
    tar = tar_of([("n00000030_1.JPEG", picture()), ("._n00000030_1.JPEG", b"\0\5\26\7"), ("notes.txt", b"x")])
    (root / "train/n00000030.tar").write_bytes(tar)
    (root / "train" / f"{WNIDS[0]}.tar").write_bytes(b"not read")
    (root / "train/n00000040.tar.gz").write_bytes(b"packed")
    (root / "val.txt").unlink()

    found = recognize(root)

    assert [image.path for image in found.splits[0].images if image.label == 2] == ["train/n00000030/n00000030_1.JPEG"]
    assert lost(found) == ["train/n00000040.tar.gz"]
    assert {item.path for item in found.skipped} >= {
        "train/n00000010.tar", "train/n00000030.tar/._n00000030_1.JPEG", "train/n00000030.tar/notes.txt",
    }  # fmt: skip


@pytest.mark.parametrize("below", ["", "ILSVRC"])
def test_kaggles_tables_are_found_from_the_folder_below_them(below: str, pictures: Pictures, tmp_path: Path) -> None:
    layouts.kaggle(tmp_path, pictures)
    (tmp_path / "LOC_synset_mapping.txt").write_text("".join(f"{wnid} {word}\n" for wnid, word in WORDS.items()))

    found = recognize(tmp_path / below)

    assert {split.name: split.labeled for split in found.splits} == {"train": True, "val": True, "test": False}
    assert set(found.class_names) == set(WORDS.values())


def test_every_skipped_file_is_listed_next_to_the_stores(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(root, "figures/1.png")
    (root / ".DS_Store").write_bytes(b"")
    (root / f"train/{WNIDS[0]}/boxes.xml").write_text("")

    prepare(root, out=root.parent / "stores", workers=1, options=Options(side_px=32, allow_partial=True))

    with (root.parent / "stores/ilsvrc2012-partial-skipped.csv").open(newline="") as file:
        rows = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert rows == {
        ".DS_Store": "hidden", "ILSVRC2012_readme.txt": "not a picture",
        f"train/{WNIDS[0]}/boxes.xml": "not a picture", "figures": "a folder with images that is not read",
    }  # fmt: skip
    assert "Skipped files and folders: 4 (2 not a picture" in capsys.readouterr().err


@pytest.mark.parametrize("layout", [layouts.official_tars, layouts.flat_val])
def test_the_ids_of_2012_are_kept_with_the_sorted_classes(
    layout: Callable[[Path, Pictures], None], pictures: Pictures, tmp_path: Path
) -> None:
    layout(tmp_path, pictures)

    found = recognize(tmp_path)

    assert (found.classes, found.ilsvrc_ids) == (tuple(sorted(layouts.WNIDS)), (3, 1, 2))
    assert found.class_names == tuple(WORDS[wnid] for wnid in sorted(layouts.WNIDS))


def test_a_devkit_of_the_other_year_is_refused(pictures: Pictures, tmp_path: Path) -> None:
    layouts.official_tars(tmp_path, pictures)
    (tmp_path / "ILSVRC2012_devkit_t12.tar.gz").unlink()
    for name, data in layouts.devkit(pictures, "2010").items():
        layouts.write(tmp_path / "devkit-1.0" / name, data)

    with pytest.raises(UserError, match="2010"):
        recognize(tmp_path)


def test_missing_training_images_stop_the_preparation_unless_allowed(pictures: Pictures, tmp_path: Path) -> None:
    fewer = {**pictures["train"], layouts.WNIDS[1]: pictures["train"][layouts.WNIDS[1]][:-1]}
    layouts.official_tars(tmp_path / "source", {**pictures, "train": fewer})

    with pytest.raises(UserError, match="n02102040 has 2 of 3 training images"):
        prepare(tmp_path / "source", out=tmp_path / "stores", workers=1)
    found = prepare(tmp_path / "source", out=tmp_path / "stores", workers=1, options=Options(allow_partial=True))

    assert len(found["train"]) == TRAIN * len(layouts.WNIDS) - 1


def test_a_ground_truth_is_matched_by_the_numbers_of_the_images(miniature: Path) -> None:
    before = val(recognize(miniature))
    (miniature / "val/ILSVRC2010_val_00000003.JPEG").unlink()

    found = recognize(miniature)

    assert val(found) == [(name, label) for name, label in before if "00000003" not in name]
    assert found.gaps == ("19 of 20 val images",)


def test_images_beyond_the_ground_truth_are_refused(miniature: Path) -> None:
    put(miniature, "val/ILSVRC2010_val_00000021.JPEG")

    with pytest.raises(UserError, match=r"no row for 1 of 21 images, such as ILSVRC2010_val_00000021"):
        recognize(miniature)


@pytest.mark.parametrize("split", ["val", "test"])
def test_2010_without_a_split_is_not_complete(split: str, miniature: Path) -> None:
    (miniature / split).rename(miniature / "spare")

    assert recognize(miniature).gaps == (f"0 of 20 {split} images",)


@pytest.mark.parametrize("text", ["2\n1\n", "\ufeff2\r\n1\r\n", " 2 \n\n1\t\n"], ids=["plain", "with a mark", "blanks"])
def test_forms_of_a_ground_truth_give_the_same_ids(text: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/truth.txt").write_bytes(text.encode())

    assert truth(tmp_path, "truth.txt", classes=2) == [2, 1]


def test_a_second_column_in_a_ground_truth_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "truth.txt").write_text("1\n2 1\n")

    with pytest.raises(UserError, match=r"truth\.txt has the line '2 1' \(number 2\)"):
        truth(tmp_path, "truth.txt", classes=2)


def test_names_of_classes_are_read_in_latin_1_and_between_semicolons(root: Path) -> None:
    (root / "LOC_synset_mapping.txt").write_bytes(b'n00000010 \xfcber, x\n"n00000020";"b\'c"\n')

    assert recognize(root).class_names == ("über, x", "b'c")
    assert words_by_wnid("no names\nn00000010\n") == {}


def test_a_known_image_shows_labels_in_another_order() -> None:
    thousand = sorted(["n01440764", "n01751748", "n15075141", *(f"n1{number:07d}" for number in range(997))])

    def labeled(wnid: str, classes: list[str]) -> Source:
        images = Images([("val/", [("ILSVRC2012_val_00000001.JPEG", File(Path(), "x"))], [classes.index(wnid)])])
        return Source("ilsvrc2012", tuple(classes), tuple(classes), (Split("val", images),))

    with pytest.raises(UserError, match=r"val_00000001\.JPEG is labeled n15075141, but it is known to be n01751748"):
        refuse_wrong_labels(Path("ds"), labeled("n15075141", thousand))
    refuse_wrong_labels(Path("ds"), labeled("n01751748", thousand))
    refuse_wrong_labels(Path("ds"), labeled("n01440764", thousand[:10]))  # smaller sets may have renumbered
    assert not is_2012(thousand[:10])
