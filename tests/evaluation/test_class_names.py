"""Tables of names are matched to classes by WNID where they have WNIDs, and by place where they have none."""

import json
from pathlib import Path

import pytest

from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.class_names import named_by
from alexrepro.model.formats.torchvision import imagenet_names
from alexrepro.model.weights import Weights
from alexrepro.recipes.as_printed_and_run import AS_RUN_2012, TINY

WNIDS = ("n01440764", "n01443537", "n01484850")
TABLE = "n01484850 great white shark\nn01440764 tench, Tinca tinca\nn01443537 goldfish\n"
IN_ORDER = ("n01440764 tench, Tinca tinca", "n01443537 goldfish", "n01484850 great white shark")
OF_A_RUN = Weights(TINY.for_classes(3), {}, classes=WNIDS, wnids=WNIDS)
OF_UNKNOWN_CLASSES = Weights(TINY.for_classes(3), {})


def names(tmp_path: Path, content: str | bytes, weights: Weights = OF_A_RUN) -> tuple[str, ...] | None:
    file = tmp_path / "names.txt"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return named_by(file, weights).classes


@pytest.mark.parametrize(
    "content",
    [
        TABLE,
        TABLE.replace("\n", "\r\n"),
        TABLE.encode("utf-16"),
        b"\xef\xbb\xbf" + TABLE.encode(),
        TABLE.replace("\n", "\n\n"),
        "n09999999 of another network\n" + TABLE,
        TABLE + TABLE,
    ],
    ids=["other order", "CRLF", "UTF-16", "BOM", "blank lines", "more classes", "twice the same"],
)
def test_lines_with_wnids_go_to_the_outputs_of_these_wnids(tmp_path: Path, content: str | bytes) -> None:
    assert names(tmp_path, content) == IN_ORDER


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
def test_a_wnid_ends_at_a_separator(tmp_path: Path, separator: str) -> None:
    table = "".join(f"{wnid}{separator}name {wnid[-1]}\n" for wnid in reversed(WNIDS))

    assert names(tmp_path, table) == tuple(f"{wnid}{separator}name {wnid[-1]}" for wnid in WNIDS)


@pytest.mark.parametrize(
    "table",
    [
        {"0": ["n01484850", "great_white_shark"], "1": ["n01440764", "tench"], "2": ["n01443537", "goldfish"]},
        {"n01484850": "great_white_shark", "n01440764": "tench", "n01443537": "goldfish"},
        {"id2label": {"0": "n01484850 great_white_shark", "1": "n01440764 tench", "2": "n01443537 goldfish"}},
        ["n01484850 great_white_shark", "n01440764 tench", "n01443537 goldfish"],
    ],
    ids=["numbers", "WNIDs", "id2label", "list"],
)
def test_json_is_read_as_lines(tmp_path: Path, table: object) -> None:
    found = names(tmp_path, json.dumps(table))

    assert found == ("n01440764 tench", "n01443537 goldfish", "n01484850 great_white_shark")


def test_json_without_wnids_goes_by_its_numbers(tmp_path: Path) -> None:
    assert names(tmp_path, json.dumps({"2": "c", "0": "a", "1": "b"})) == ("a", "b", "c")


def test_names_alone_go_by_their_place(tmp_path: Path) -> None:
    assert names(tmp_path, "crane\ncrane\ntench\n") == ("crane", "crane", "tench")


def test_folders_that_are_classes_are_matched_as_wnids_are(tmp_path: Path) -> None:
    classes = ("cat", "cow", "dog")
    weights = Weights(TINY.for_classes(3), {}, classes=classes, wnids=classes)

    assert names(tmp_path, "dog Hund\ncat Katze\ncow Kuh\n", weights) == ("cat Katze", "cow Kuh", "dog Hund")


def test_a_table_of_imagenet_is_sorted_by_wnid_for_a_network_of_imagenet(tmp_path: Path) -> None:
    weights = Weights(AS_RUN_2012, {}, classes=imagenet_names(1000))
    lines = [f"n{number:08d} name {number}" for number in range(1000)]

    assert names(tmp_path, "\n".join(reversed(lines)), weights) == tuple(lines)


REFUSED = {
    "other classes": ("n00000001 a\nn00000002 b\nn00000003 c\n", "it lacks n01440764, one of 3 of the 3 classes"),
    "one missing": ("n01484850 a\nn01443537 b\nn00000003 c\n", "it lacks n01440764, one of 1 of the 3 classes"),
    "one twice": (TABLE + "n01440764 carp\n", "it names n01440764 twice"),
    "a gap": ("tench\n\ngoldfish\n", "line 2 is empty"),
    "numbers from 1": ('{"1": "a", "2": "b", "3": "c"}', "do not count from 0"),
    "too few": ("tench\ngoldfish\n", "2 names for 3 classes"),
    "nothing": ("", "0 names for 3 classes"),
    "no text": (b"\x00\x01", "is not text"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_table_that_does_not_fit_is_refused_with_the_reason(tmp_path: Path, kind: str) -> None:
    content, reason = REFUSED[kind]

    with pytest.raises(UserError, match=reason):
        names(tmp_path, content)


@pytest.mark.parametrize("name", [".", "absent.txt", "x" * 300])
def test_a_path_that_leads_to_no_file_is_missing_input(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"cannot be read|There is no file") as caught:
        named_by(tmp_path / name, OF_UNKNOWN_CLASSES)

    assert caught.value.exit_code == Exit.MISSING_INPUT
