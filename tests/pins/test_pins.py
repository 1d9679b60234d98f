"""Every row of the ledger is pinned: change what it states in a copy of the code, and one of its tests fails.

mutations.toml holds, for each row, pieces of code and what to put in their place. Run with: make test-pins
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from alexrepro.paper.citation import statements
from alexrepro.recipes.catalog import catalog
from alexrepro.recipes.variations import VARIATIONS
from alexrepro.reports.experiments import experiments

ROOT = Path(__file__).parents[2]
PINS = {statement.id: [pin for pin in statement.pins if "::" in pin] for statement in statements()}
TESTABLE = [statement.id for statement in statements() if statement.status != "no test can pin it"]


class Mutation(NamedTuple):
    """A wrong treatment of what a row states: in a file below src/alexrepro, one piece of text becomes another."""

    row: str
    file: str
    old: str
    new: str


ROWS = tomllib.loads((Path(__file__).parent / "mutations.toml").read_text(encoding="utf-8"))
MUTATIONS = {
    f"{row}-{number}": Mutation(row, *mutation)
    for row, mutations in ROWS.items()
    for number, mutation in enumerate(mutations, 1)
}


def source_of(mutation: Mutation) -> str:
    return (ROOT / "src" / "alexrepro" / mutation.file).read_text(encoding="utf-8")


@cache
def tests_of(file: str) -> frozenset[str]:
    """Names of the test functions of a file below the checkout; none if there is no such file."""
    path = ROOT / file
    tree = ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def exists(pin: str) -> bool:
    """Whether this test, experiment, recipe or variation is there."""
    kind, _, name = pin.partition(" ")
    file, _, test = pin.partition("::")
    known = {"experiment": experiments().keys(), "recipe": catalog().keys() | VARIATIONS.keys()}
    return name in known[kind] if name else test in tests_of(file)


def test_every_pin_exists() -> None:
    assert [f"{s.id}: {pin}" for s in statements() for pin in s.pins if not exists(pin)] == []


def test_every_row_that_a_test_can_pin_has_mutations_and_a_test() -> None:
    assert list(ROWS) == TESTABLE
    assert [row for row in TESTABLE if not PINS[row]] == []


def test_the_text_to_change_stands_once_in_its_file() -> None:
    assert [name for name, mutation in MUTATIONS.items() if source_of(mutation).count(mutation.old) != 1] == []


@pytest.mark.pins
@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS)
def test_a_pin_fails_when_the_treatment_changes(mutation: Mutation, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    changed = source_of(mutation).replace(mutation.old, mutation.new)
    (tmp_path / "src" / "alexrepro" / mutation.file).write_text(changed, encoding="utf-8")

    said = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *PINS[mutation.row]],
        cwd=ROOT,
        env=os.environ
        | {
            "PYTHONPATH": str(tmp_path / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # starts in half the time
        },
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip

    assert re.search(r"^1 failed", said, re.MULTILINE), said[-2000:]  # an error is no test that failed
