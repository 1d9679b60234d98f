"""Names of classes from other people's tables: a name a line, lines that begin with WNIDs, or JSON of either.

Names with WNIDs go to the outputs of these WNIDs, wherever in the table they are; names alone go by their place.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alexrepro.errors import Exit, UserError
from alexrepro.files import read_text, reading
from alexrepro.model.weights import Weights

WNID = re.compile(r"n\d{8}\b")


def named_by(file: Path, weights: Weights) -> Weights:
    """The weights with the names in a file. Raises UserError if it does not name every output, or one of them twice."""
    with reading(file):
        text = read_text(file)
    lines = _of_json(text, file)
    if lines is None:
        lines = text.rstrip("\n").split("\n") if text.strip() else []
    keys = [_key(line) for line in lines]
    are_wnids = bool(lines) and all(WNID.match(key) for key in keys if key)
    if weights.wnids is not None and (are_wnids or set(weights.wnids) <= set(keys)):
        return weights.named(_by_key(file, dict(_unique(file, lines)), weights.wnids))
    if are_wnids and weights.classes is not None:  # a network of ImageNet, which numbers classes by their WNIDs
        return weights.named(tuple(line for _, line in sorted(_unique(file, lines))))
    if "" in keys:
        raise _bad(file, f"line {keys.index('') + 1} is empty, and names go by their place")
    return weights.named(tuple(lines))


def _key(line: str) -> str:
    """What a line begins with, up to white space or a comma."""
    return re.split(r"[\s,;]", line.strip(), maxsplit=1)[0]


def _unique(file: Path, lines: Sequence[str]) -> list[tuple[str, str]]:
    """What each line begins with, and the line. Raises UserError if two lines begin alike and go on differently."""
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, lines)):
        if found.setdefault(_key(line), line) != line:
            raise _bad(file, f"it names {_key(line)} twice")
    return list(found.items())


def _by_key(file: Path, found: dict[str, str], wnids: Sequence[str]) -> tuple[str, ...]:
    lacking = [wnid for wnid in wnids if wnid not in found]
    if lacking:
        raise _bad(file, f"it lacks {lacking[0]}, one of {len(lacking):,} of the {len(wnids):,} classes")
    return tuple(found[wnid] for wnid in wnids)


def _of_json(text: str, file: Path) -> list[str] | None:
    """The lines that a JSON file stands for, or None if it is none: a list, or an object by number or by WNID."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, dict):
        found = found.get("id2label", found)
    if isinstance(found, dict) and all(key.isdecimal() and len(key) < 9 for key in found):
        by_number = {int(key): value for key, value in found.items()}
        if sorted(by_number) != list(range(len(by_number))):
            raise _bad(file, "its numbers do not count from 0 without a gap")
        found = [by_number[number] for number in range(len(by_number))]
    if isinstance(found, dict):
        return [f"{key} {_line(value)}" for key, value in found.items()]
    return [_line(value) for value in found]


def _line(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _bad(file: Path, why: str) -> UserError:
    return UserError(
        f"{file} cannot name the classes: {why}.",
        fix="Write one line a class: its WNID and its name, or names alone in the order of the outputs.",
        exit_code=Exit.BAD_DATA,
    )
