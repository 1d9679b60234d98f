"""The ledger is complete, and the fields that its statements show are those of the recipes (pins: tests/pins)."""

from collections import Counter
from typing import get_args

from alexrepro.paper.citation import Status, statements
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012
from alexrepro.recipes.ledger import STAGE, ledger, values

PRINTED = 60  # statements of the paper, in the order of its topics
TRAITS = 44  # traits of the released code
NOT_TESTABLE = "no test can pin it"
EXPLAINED = {"silent, chosen", "departs", "measured", "not run", "not reproducible here", NOT_TESTABLE}


def test_every_statement_and_every_trait_is_there_once_and_in_order() -> None:
    printed = [f"P{n}" for n in range(1, PRINTED + 1)]

    assert [s.id for s in statements()] == [*printed, *(f"S{n}" for n in range(1, TRAITS + 1))]
    assert [text for text, times in Counter(s.description for s in statements()).items() if times > 1] == []


def test_every_status_is_known_and_explained_by_a_note_where_it_has_to_be() -> None:
    assert {s.status for s in statements()} == set(get_args(Status))
    assert [s.id for s in statements() if s.status in EXPLAINED and not s.note] == []


def test_a_statement_without_pins_says_that_no_test_can_pin_it() -> None:
    assert [s.id for s in statements() if not s.pins] == [s.id for s in statements() if s.status == NOT_TESTABLE]


def test_a_statement_of_the_paper_is_never_only_as_run_and_a_trait_never_as_printed() -> None:
    crossed = [s.id for s in statements() if s.status == ("as run" if s.id.startswith("P") else "as printed")]

    assert crossed == []


def test_every_field_is_one_of_a_recipe() -> None:
    known = {row["path"] for row in ledger()["fields"]} | set(AS_PRINTED.fields() | AS_RUN_2012.fields())
    found = {path: values(path) for path in {path for s in statements() for path in s.fields}}

    assert {path for path in found if STAGE not in path} <= known
    absent = {path for path, both in found.items() if both == {"printed": None, "as_run": None}}
    assert absent == {"network.input_std", "network.side_input"}
    assert all((STAGE in path) == isinstance(both["printed"], dict) for path, both in found.items())


def test_a_value_that_a_statement_shows_is_that_of_the_recipe() -> None:
    rows = {row["id"]: row for row in ledger()["statements"]}

    assert {"path": "training.bias_learning_rate", "printed": 0.01, "as_run": 0.02} in rows["S21"]["fields"]


def test_what_was_run_otherwise_than_printed_shows_in_a_field_of_its_statement() -> None:
    shown = {path for s in statements() for path in s.fields}
    departures = {row["path"] for row in ledger()["fields"] if row["printed"] != row["as_run"]}

    assert departures - shown == {"network.same_map_norm", "training.schedule"}  # shown part by part
