"""Citations: a field keeps its plain value and remembers where it comes from."""

from dataclasses import FrozenInstanceError, dataclass

import pytest

from alexrepro.paper.citation import Citation, citations, cited


@dataclass(frozen=True)
class Speed:
    limit: float = cited(0.01, "§5", "initialized at 0.01")
    unit: str = cited("px", "§2")
    label: str = "plain"


def test_a_cited_field_has_its_plain_default() -> None:
    assert Speed().limit == 0.01


def test_a_cited_field_can_be_given_another_value() -> None:
    assert Speed(limit=0.1).limit == 0.1


def test_citations_are_listed_by_field_and_leave_out_plain_fields() -> None:
    assert citations(Speed) == {"limit": Citation("§5", "initialized at 0.01"), "unit": Citation("§2", "")}


def test_a_citation_reads_as_source_and_words() -> None:
    assert str(Citation("§5", "initialized at 0.01")) == "§5: initialized at 0.01"


def test_a_citation_without_words_reads_as_its_source() -> None:
    assert str(Citation("§2")) == "§2"


def test_a_citation_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Citation("§2").source = "§3"  # type: ignore[misc]
