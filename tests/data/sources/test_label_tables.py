"""Label tables as people have them are matched by the images' names, in any encoding, or refused with the line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from alexrepro.data.sources import recognize
from alexrepro.data.sources.checks import is_2012, refuse_wrong_labels
from alexrepro.data.sources.devkit import truth
from alexrepro.data.sources.labels import words_by_wnid
from alexrepro.data.sources.source import File, ImageFile, Source, Split
from alexrepro.errors import Exit, UserError

WNIDS = ("n00000010", "n00000020")
VAL = "ILSVRC2012_val_0000000{}"
CAFFE = "".join(f"{VAL.format(number)}.JPEG {number % 2}\n" for number in (3, 1, 4, 2))
KAGGLE = "ImageId,PredictionString\n" + "".join(
    f"{VAL.format(number)},{WNIDS[number % 2]} 1 2 3 4 \n" for number in (3, 1, 4, 2)
)
TRUE_LABELS = [1, 0, 1, 0]

ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "with a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "old Mac": lambda text: text.replace("\n", "\r").encode(),
    "blank lines": lambda text: text.replace("\n", "\n\n").encode(),
}
CAFFE_FORMS: dict[str, Callable[[str], bytes]] = {
    "folders": lambda text: text.replace("ILSVRC", "val/ILSVRC").encode(),
    "folders of Windows": lambda text: text.replace("ILSVRC", r"D:\my val\ILSVRC").encode(),
    "tabs": lambda text: text.replace(" ", "\t").encode(),
    "commas and quotes": lambda text: (
        text.replace("ILSVRC", '"ILSVRC').replace(" ", '","').replace("\n", '"\n').encode()
    ),
    "trailing blanks": lambda text: text.replace("\n", " \t\n").encode(),
    "headings": lambda text: ("filename label\n" + text).encode(),
    "no suffixes": lambda text: text.replace(".JPEG", "").encode(),
    "WNIDs": lambda text: text.replace(" 0", " n00000010").replace(" 1", " n00000020").encode(),
    "a line twice": lambda text: (text + text.split("\n")[0] + "\n").encode(),
}
KAGGLE_FORMS: dict[str, Callable[[str], bytes]] = {
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "suffixes": lambda text: text.replace(",n", ".JPEG,n").encode(),
    "quotes": lambda text: "\n".join(f'"{line}"'.replace(",", '","') for line in text.split("\n")[:-1]).encode(),
    "another column": lambda text: "\n".join(f"0,{line}" for line in text.split("\n")[:-1]).encode(),
    "headings in small letters": lambda text: text.replace("ImageId", "imageid ").encode(),
}
WRONG = {
    "one-based": (CAFFE.replace(" 1", " 2").replace(" 0", " 1"), "seem to count from 1"),
    "of other classes": (CAFFE.replace(" 1", " 7"), "from 0 to 7"),
    "words": (CAFFE.replace(" 1", " tench"), "line 1|line 2"),
    "two labels": (CAFFE + f"{VAL.format(1)}.JPEG 0\n", r"'ILSVRC2012_val_00000001.JPEG' two labels, 1 and 0"),
    "a image lacks": (CAFFE.replace("0002.JPEG", "0009.JPEG"), "no row for 1 of 4 images"),
    "unknown WNIDs": (CAFFE.replace(" 1", " n00000099").replace(" 0", " n00000010"), "n00000099"),
    "empty": ("", "no row for 4 of 4"),
    "turned round": ("\n".join(" ".join(line.split()[::-1]) for line in CAFFE.split("\n")), "line 2"),
}


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"image")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    touch(*(tmp_path / "train" / wnid / f"{wnid}_1.JPEG" for wnid in WNIDS))
    touch(*(tmp_path / "val" / f"{VAL.format(number)}.JPEG" for number in (1, 2, 3, 4)))
    return tmp_path


def labels(root: Path) -> list[int]:
    (val,) = (split for split in recognize(root).splits if split.name == "val")
    return [image.label for image in val.images]


@pytest.mark.parametrize("write", [*ENCODINGS.values(), *CAFFE_FORMS.values()], ids=[*ENCODINGS, *CAFFE_FORMS])
def test_forms_of_val_txt_give_the_same_labels(write: Callable[[str], bytes], root: Path) -> None:
    (root / "val.txt").write_bytes(write(CAFFE))

    assert labels(root) == TRUE_LABELS


@pytest.mark.parametrize("write", [*ENCODINGS.values(), *KAGGLE_FORMS.values()], ids=[*ENCODINGS, *KAGGLE_FORMS])
def test_forms_of_kaggles_table_give_the_same_labels(write: Callable[[str], bytes], root: Path) -> None:
    (root / "LOC_val_solution.csv").write_bytes(write(KAGGLE))

    assert labels(root) == TRUE_LABELS


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_a_val_txt_that_cannot_be_right_is_refused_by_name(text: str, said: str, root: Path) -> None:
    (root / "val.txt").write_text(text)

    with pytest.raises(UserError, match=said) as refused:
        recognize(root)

    assert (f"{root / 'val.txt'} cannot give the labels" in refused.value.what, refused.value.exit_code) == (
        True,
        Exit.BAD_DATA,
    )


def test_a_table_may_know_more_images_than_are_there(root: Path) -> None:
    (root / "val.txt").write_text(CAFFE)
    (root / "val" / f"{VAL.format(2)}.JPEG").unlink()

    assert labels(root) == [1, 1, 0]


def test_a_ground_truth_is_matched_by_the_numbers_of_the_images(miniature: Path) -> None:
    before = recognize(miniature)
    (miniature / "val/ILSVRC2010_val_00000003.JPEG").unlink()

    found = recognize(miniature)

    kept = [image.label for image in before.splits[1].images if "00000003" not in image.name]
    assert [image.label for image in found.splits[1].images] == kept
    assert found.gaps == ("19 of 20 val images",)


def test_images_beyond_the_ground_truth_are_refused(miniature: Path) -> None:
    touch(miniature / "val/ILSVRC2010_val_00000021.JPEG")

    with pytest.raises(UserError, match=r"numbers up to 21, but .* has 20 lines"):
        recognize(miniature)


@pytest.fixture
def miniature(tmp_path: Path) -> Path:
    from alexrepro.data.sources.miniature import write_miniature

    write_miniature(tmp_path, train_per_class=1, val_per_class=1, test_per_class=1)
    return tmp_path


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


def of_2012(label: int, classes: tuple[str, ...]) -> Source:
    image = ImageFile("val/ILSVRC2012_val_00000001.JPEG", label, File(Path("x")))
    return Source("ilsvrc2012", classes, classes, (Split("val", [image]),))


def thousand() -> tuple[str, ...]:
    """As many WNIDs as in 2012, with the first, the last and that of validation image 1."""
    others = [f"n1{number:07d}" for number in range(997)]
    return tuple(sorted(["n01440764", "n01751748", "n15075141", *others]))


def test_a_known_image_betrays_labels_in_another_order() -> None:
    classes = thousand()

    with pytest.raises(
        UserError, match=r"ILSVRC2012_val_00000001\.JPEG is labeled n15075141, but it is known to be n01751"
    ):
        refuse_wrong_labels(Path("ds"), of_2012(classes.index("n15075141"), classes))
    refuse_wrong_labels(Path("ds"), of_2012(classes.index("n01751748"), classes))


def test_smaller_sets_may_have_numbered_their_images_anew() -> None:
    classes = thousand()[:10]

    refuse_wrong_labels(Path("ds"), of_2012(0, classes))

    assert not is_2012(classes)
