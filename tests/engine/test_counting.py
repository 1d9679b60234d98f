"""Counting on numbers that can be followed by hand."""

from math import log

import pytest
import torch

from alexrepro.engine.counting import Counts, answers, joined

PROBABILITIES = torch.tensor(
    [
        [0.10, 0.30, 0.20, 0.15, 0.05, 0.12, 0.08],
        [0.25, 0.25, 0.10, 0.10, 0.10, 0.10, 0.10],
        [0.40, 0.20, 0.10, 0.10, 0.10, 0.05, 0.05],
    ]
)
LABELS = torch.tensor([0, 1, 6])  # fifth, level with the first, level with the sixth


def test_answers_are_those_read_by_eye() -> None:
    found = answers(PROBABILITIES, LABELS)

    assert found.guesses.tolist() == [[1, 2, 3, 5, 0], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
    assert found.chances[0].tolist() == pytest.approx([0.30, 0.20, 0.15, 0.12, 0.10])
    assert found.ranks.tolist() == [4, 1, 6]
    assert found.log_chances.tolist() == pytest.approx([log(0.10), log(0.25), log(0.05)], rel=1e-6)  # float32
    assert found.tied.tolist() == [False, True, False]


def test_counts_are_those_made_by_hand() -> None:
    costs = torch.arange(49, dtype=torch.uint8).reshape(7, 7)

    counts = answers(PROBABILITIES, LABELS, costs).counts()

    assert (counts.images, counts.top1_correct, counts.top5_correct, counts.tied) == (3, 0, 2, 1)
    assert counts.loss_sum == pytest.approx(-log(0.10) - log(0.25) - log(0.05), rel=1e-6)
    assert counts.cost_sum == 0 + 7 + 42


@pytest.mark.parametrize(
    ("row", "label", "hangs"),
    [
        ([0.2, 0.2, 0.2, 0.2, 0.2], 4, True),  # first or fifth
        ([0.3, 0.3, 0.2, 0.1, 0.1], 4, False),  # fourth or fifth: in the five either way
        ([0.3, 0.2, 0.2, 0.1, 0.1, 0.1], 5, True),  # fourth, fifth or sixth
        ([0.3, 0.2, 0.2, 0.1, 0.1, 0.1], 2, False),  # second or third
    ],
)
def test_an_answer_hangs_on_ties_only_where_their_order_could_change_it(
    row: list[float], label: int, hangs: bool
) -> None:
    assert answers(torch.tensor([row]), torch.tensor([label])).tied.tolist() == [hangs]


def test_parts_join_and_add_to_the_whole() -> None:
    whole = answers(PROBABILITIES, LABELS)
    parts = [answers(PROBABILITIES[:1], LABELS[:1]), answers(PROBABILITIES[1:], LABELS[1:])]

    assert torch.equal(joined(parts).guesses, whole.guesses)
    assert joined(parts).counts() == whole.counts()
    assert parts[0].counts() + parts[1].counts() == whole.counts()


def test_costs_are_added_only_where_both_parts_have_them() -> None:
    costly, plain = Counts(1, 1, 1, 0.5, cost_sum=3), Counts(1, 0, 1, 0.5)

    assert (costly + costly).cost_sum == 6
    assert (costly + plain).cost_sum is None


def test_fewer_than_five_classes_give_fewer_guesses() -> None:
    found = answers(torch.tensor([[0.3, 0.7]]), torch.tensor([0]))

    assert (found.guesses.tolist(), found.counts().top5_correct) == ([[1, 0]], 1)
