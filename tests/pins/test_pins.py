"""Every row of the ledger is pinned: change what it states in a copy of the code, and one of its tests fails.

mutations.toml holds, for each row, pieces of code and what to put in their place. Run with: make test-pins
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from alexrepro.paper.statements import STATEMENTS

ROOT = Path(__file__).parents[2]
PINS = {statement.id: [pin for pin in statement.pins if "::" in pin] for statement in STATEMENTS}
UNPINNED = {"not run", "not reproducible here"}  # no behavior of this code; the note gives the reason


class Mutation(NamedTuple):
    """A wrong treatment of what a row states: in a file below src/alexrepro, one piece of text becomes another."""

    row: str
    file: str
    old: str
    new: str


MUTATIONS = [
    Mutation(**mutation)
    for mutation in tomllib.loads((Path(__file__).parent / "mutations.toml").read_text())["mutation"]
]
NUMBER = {row: [m for m in MUTATIONS if m.row == row] for row in PINS}


def name_of(mutation: Mutation) -> str:
    return f"{mutation.row}-{NUMBER[mutation.row].index(mutation) + 1}"


def test_every_row_that_this_code_treats_has_a_mutation() -> None:
    treated = [statement.id for statement in STATEMENTS if statement.status not in UNPINNED]

    assert [row for row in treated if not NUMBER[row]] == []


def test_every_row_with_a_mutation_has_a_test() -> None:
    assert [row for row, found in NUMBER.items() if found and not PINS[row]] == []


@pytest.mark.parametrize("mutation", MUTATIONS, ids=name_of)
def test_the_text_to_change_stands_once_in_its_file(mutation: Mutation) -> None:
    text = (ROOT / "src" / "alexrepro" / mutation.file).read_text(encoding="utf-8")

    assert text.count(mutation.old) == 1


@pytest.mark.pins
@pytest.mark.parametrize("mutation", MUTATIONS, ids=name_of)
def test_a_pin_fails_when_the_treatment_changes(mutation: Mutation, tmp_path: Path) -> None:
    assert PINS[mutation.row]
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "src" / "alexrepro" / mutation.file
    file.write_text(file.read_text(encoding="utf-8").replace(mutation.old, mutation.new), encoding="utf-8")

    said = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-n0", *PINS[mutation.row]],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(tmp_path / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip

    assert re.search(r"^1 failed", said, re.MULTILINE), said[-2000:]
