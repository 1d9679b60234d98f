"""The ledger is complete, and what it says pins a statement exists."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from alexrepro.paper.statement import Statement, Status, statements
from alexrepro.recipes.catalog import catalog
from alexrepro.recipes.ledger import STAGE, ledger, values
from alexrepro.recipes.variations import VARIATIONS

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "src" / "alexrepro" / "reports" / "experiments"
PRINTED = 57  # statements of the paper, in the order of its topics
TRAITS = 44  # traits of the released code
NOT_TESTABLE = "no test can pin it"
EXPLAINED = {"silent, chosen", "departs", "measured", "not run", "not reproducible here", NOT_TESTABLE}


@cache
def tests_of(file: str) -> frozenset[str]:
    """Names of the test functions of a file below the checkout; none if there is no such file."""
    path = ROOT / file
    tree = ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@cache
def experiments() -> frozenset[str]:
    """Names given to `Experiment(name=…)` in the package of experiments, read without importing it."""
    calls = [
        node
        for file in EXPERIMENTS.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Experiment"
    ]
    named = [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "name"]
    return frozenset(str(value.value) for value in named if isinstance(value, ast.Constant))


def exists(pin: str) -> bool:
    """Whether this test, experiment, recipe or variation is there."""
    kind, _, name = pin.partition(" ")
    file, _, test = pin.partition("::")
    known = {"experiment": experiments(), "recipe": catalog().keys() | VARIATIONS.keys()}
    return name in known[kind] if name else test in tests_of(file)


def missing_pins(rows: tuple[Statement, ...]) -> list[str]:
    """Every pin of the statements that leads nowhere, after the id of its statement."""
    return [f"{s.id}: {pin}" for s in rows for pin in s.pins if not exists(pin)]


def test_every_statement_and_every_trait_is_there_once_and_in_order() -> None:
    printed = [f"P{n}" for n in range(1, PRINTED + 1)]

    assert [s.id for s in statements()] == [*printed, *(f"S{n}" for n in range(1, TRAITS + 1))]


def test_every_statement_is_pinned_unless_its_status_says_that_it_cannot_be() -> None:
    assert [s.id for s in statements() if not s.pins] == [s.id for s in statements() if s.status == NOT_TESTABLE]


def test_every_pin_exists() -> None:
    assert missing_pins(statements()) == []


@pytest.mark.parametrize(
    "pin",
    ["tests/paper/test_network.py::test_renamed", "tests/gone.py::test_a", "experiment table-9", "recipe as-run-2021"],
)
def test_a_pin_that_was_renamed_is_found_out(pin: str) -> None:
    stale = Statement("P0", "§0", "description", "as printed", (pin,))

    assert missing_pins((stale,)) == [f"P0: {pin}"]


def test_every_status_is_known_and_used() -> None:
    assert {s.status for s in statements()} == set(get_args(Status))


def test_what_the_paper_says_is_never_only_as_run_and_the_reverse() -> None:
    crossed = [s.id for s in statements() if s.status == ("as run" if s.id.startswith("P") else "as printed")]

    assert crossed == []


@pytest.mark.parametrize("path", sorted({path for s in statements() for path in s.fields}))
def test_every_field_is_one_of_a_recipe(path: str) -> None:
    found = values(path)

    assert {type(value) for value in found.values()} != {type(None)} or path in {
        "network.input_std",
        "network.side_input",
    }
    assert (STAGE in path) == isinstance(found["printed"], dict)


def test_a_field_that_no_recipe_has_is_an_error() -> None:
    with pytest.raises(KeyError):
        values("network.norm.gamma")


def test_a_value_that_a_statement_shows_is_that_of_the_recipe() -> None:
    rows = {row["id"]: row for row in ledger()["statements"]}

    assert {"path": "training.bias_learning_rate", "printed": 0.01, "as_run": 0.02} in rows["S21"]["fields"]


def test_what_was_run_otherwise_than_printed_shows_in_a_field_of_its_statement() -> None:
    differing = {
        path
        for path, both in ((p, values(p)) for s in statements() for p in s.fields)
        if both["printed"] != both["as_run"]
    }
    departures = {row["path"] for row in ledger()["fields"] if row["printed"] != row["as_run"]}

    assert departures - differing - {"network.same_map_norm", "training.schedule"} == set()  # shown part by part


def test_what_is_not_simply_done_says_why() -> None:
    assert [s.id for s in statements() if s.status in EXPLAINED and not s.note] == []


def test_no_two_statements_say_the_same() -> None:
    assert [text for text, times in Counter(s.description for s in statements()).items() if times > 1] == []
