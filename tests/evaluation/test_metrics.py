"""Counting on numbers that can be followed by hand, and against NumPy on drawn ones."""

from math import log

import numpy as np
import pytest
import torch

from alexrepro.evaluation.metrics import score, total
from alexrepro.runs.evaluation import Evaluation

PROBABILITIES = torch.tensor(
    [
        [0.10, 0.30, 0.20, 0.15, 0.05, 0.12, 0.08],
        [0.25, 0.25, 0.10, 0.10, 0.10, 0.10, 0.10],
        [0.40, 0.20, 0.10, 0.10, 0.10, 0.05, 0.05],
    ]
)
LABELS = torch.tensor([0, 1, 6])  # fifth; equal to the first; equal to the sixth


def test_counts_are_those_made_by_hand() -> None:
    found = score(PROBABILITIES, LABELS)

    counts = found.counts()
    log_probs = [log(0.10), log(0.25), log(0.05)]
    assert found.top5.tolist() == [[1, 2, 3, 5, 0], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
    assert found.probabilities[0].tolist() == pytest.approx([0.30, 0.20, 0.15, 0.12, 0.10])
    assert (found.ranks.tolist(), found.tied.tolist()) == ([4, 1, 6], [False, True, False])
    assert found.log_probs.tolist() == pytest.approx(log_probs, rel=1e-6)  # float32
    assert (counts.images, counts.top1_correct, counts.top5_correct, counts.tied) == (3, 0, 2, 1)
    assert counts.loss_sum == pytest.approx(-sum(log_probs), rel=1e-6)


@pytest.mark.parametrize(
    ("row", "label", "is_tied"),
    [
        ([0.2, 0.2, 0.2, 0.2, 0.2], 4, True),  # first or fifth
        ([0.3, 0.3, 0.2, 0.1, 0.1], 4, False),  # fourth or fifth: in the five either way
        ([0.3, 0.2, 0.2, 0.1, 0.1, 0.1], 5, True),  # fourth, fifth or sixth
        ([0.3, 0.2, 0.2, 0.1, 0.1, 0.1], 2, False),  # second or third
    ],
)
def test_an_image_is_tied_only_if_the_order_of_equals_could_change_its_count(
    row: list[float], label: int, is_tied: bool
) -> None:
    assert score(torch.tensor([row]), torch.tensor([label])).tied.tolist() == [is_tied]


def test_batches_add_up() -> None:
    whole = score(PROBABILITIES, LABELS)
    parts = [score(PROBABILITIES[:1], LABELS[:1]), score(PROBABILITIES[1:], LABELS[1:])]

    assert total(part.counts() for part in parts) == whole.counts()


def test_an_error_is_the_fraction_of_incorrect_images() -> None:
    found = Evaluation("run", "r", "d", 0, 1, "set", "set-test", "ten", 10, top1_correct=4, top5_correct=7, loss=1.0)

    assert (found.top1_error, found.top5_error) == (pytest.approx(0.6), pytest.approx(0.3))


CLASSES = 50
SCORES = {
    "random": torch.rand(2000, CLASSES, generator=torch.Generator().manual_seed(1)),
    "tied": torch.randint(0, 8, (2000, CLASSES), generator=torch.Generator().manual_seed(2)) / 8,
    "all the same": torch.full((2000, CLASSES), 1 / CLASSES),
}
TRUE = torch.randint(0, CLASSES, (2000,), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("scores", SCORES.values(), ids=SCORES)
def test_counts_are_those_of_numpy_with_the_lower_class_first(scores: torch.Tensor) -> None:
    ordered = np.argsort(-scores.numpy(), axis=1, kind="stable")
    right = ordered == TRUE.numpy()[:, None]

    found = score(scores, TRUE)

    assert np.array_equal(found.top5.numpy(), ordered[:, :5])
    assert np.array_equal(found.ranks.numpy(), right.argmax(1))
    assert found.counts().top1_correct == int(right[:, 0].sum())
    assert found.counts().top5_correct == int(right[:, :5].sum())
