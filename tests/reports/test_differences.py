"""Differences of evaluations: paired by image where both predictions are saved, unpaired where they are not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from alexrepro.errors import UserError
from alexrepro.reports.statistics.differences import compare, estimate, wrong_by_image
from alexrepro.reports.statistics.intervals import sample_of, sample_of_counts, seeds_interval, unpaired_interval
from alexrepro.reports.tables.measured import row_of
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.paths import RunPaths
from alexrepro.runs.predictions import About, Predictions, write_predictions

IMAGES = 60
ABOUT = About("run", 2, "set-test", "ten", "5704e", "9e0ce55", tuple("abcdefg"), tuple("abcdefg"))
HARDNESS = np.random.default_rng(0).random(IMAGES)  # the same images are hard for all


def saved(folder: Path, ranks: np.ndarray, about: About = ABOUT) -> Path:
    images = len(ranks)
    predictions = Predictions(
        about, pa.chunked_array([[f"{row}.JPEG" for row in range(images)]]), np.zeros(images, int),
        np.tile(np.arange(5), (images, 1)), np.full((images, 5), 0.2, "f4"), np.zeros(images), ranks,
    )  # fmt: skip
    write_predictions(predictions, RunPaths(folder).predictions(about.split, about.crops))
    return folder


def made(folder: Path, name: str, seed: int, *, about: About = ABOUT) -> Evaluation:
    """A run with random ranks, its evaluation and its predictions."""
    draws = np.random.default_rng([seed, *name.encode()])
    ranks = np.minimum((HARDNESS * 7 + draws.integers(0, 3, IMAGES)).astype(int), 6)
    run = saved(folder / f"{name}-{seed}", ranks, about)
    return Evaluation(
        run=str(run), recipe=name, digest=name, seed=seed, epochs=2, dataset="set", split="set-test",
        crops=about.crops, images=IMAGES, top1_correct=int((ranks < 1).sum()), top5_correct=int((ranks < 5).sum()),
        loss=1.0, store=about.store,
    )  # fmt: skip


def pairs_of(folder: Path, seeds: int) -> list[tuple[Evaluation, Evaluation]]:
    return [(made(folder, "tiny+no-norm", seed), made(folder, "tiny", seed)) for seed in range(seeds)]


def with_file(content: bytes | None) -> Callable[[Evaluation], Evaluation]:
    """Replaces the predictions of an evaluation by other bytes, or removes them."""

    def spoil(evaluation: Evaluation) -> Evaluation:
        file = RunPaths(Path(evaluation.run)).predictions("set-test", "ten")
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        return evaluation

    return spoil


@pytest.mark.parametrize("seeds", [1, 3])
def test_seeds_are_paired_and_clustered_by_image(tmp_path: Path, seeds: int) -> None:
    pairs = pairs_of(tmp_path, seeds)
    wrong = wrong_by_image([evaluation for pair in pairs for evaluation in pair])
    assert wrong is not None
    differences = wrong[5][:, ::2].astype(float) - wrong[5][:, 1::2]

    _, top5, pairing = estimate(pairs)

    by_seed = [variation.top5_error - base.top5_error for variation, base in pairs]
    assert differences.shape == (IMAGES, seeds)
    assert differences.mean(axis=0).tolist() == pytest.approx(by_seed, abs=1e-12)  # rounding only
    assert (top5.low, top5.high, pairing) == (*seeds_interval(differences), "paired")
    assert top5.mean == pytest.approx(np.mean(by_seed))
    assert top5.std == (pytest.approx(np.std(by_seed, ddof=1)) if seeds > 1 else None)


def test_crops_of_one_run_are_paired_and_splits_are_not(tmp_path: Path) -> None:
    center, ten = made(tmp_path, "a", 0, about=replace(ABOUT, crops="center")), made(tmp_path, "b", 0)
    elsewhere = replace(center, split="set-val", images=2 * IMAGES)

    assert estimate([(center, ten)])[2] == "paired"
    top1, _, pairing = estimate([(elsewhere, ten)])
    one = sample_of_counts([2 * IMAGES - center.top1_correct], 2 * IMAGES)
    other = sample_of_counts([IMAGES - ten.top1_correct], IMAGES)
    assert (top1.low, top1.high, pairing) == (*unpaired_interval(one, other), "unpaired")


@pytest.mark.parametrize(
    "spoiled",
    [
        with_file(None),
        with_file(b"PAR1"),
        lambda e: replace(e, top1_correct=e.top1_correct - 1),
        lambda e: replace(e, store="of other images"),
        lambda e: replace(e, epochs=1),
        lambda e: made(Path(e.run).parent, e.recipe, e.seed, about=replace(ABOUT, classes=tuple("gfedcba"))),
    ],
    ids=["no file", "broken file", "other counts", "other store", "earlier", "other classes"],
)
def test_predictions_that_do_not_match_leave_the_pairs_unpaired(
    tmp_path: Path, spoiled: Callable[[Evaluation], Evaluation]
) -> None:
    (variation, base), *others = pairs_of(tmp_path, 2)

    assert estimate([(spoiled(variation), base), *others])[2] == "unpaired"


def test_the_error_of_several_seeds_is_clustered_by_image(tmp_path: Path) -> None:
    seeds = [made(tmp_path, "tiny", seed) for seed in range(3)]
    wrong = wrong_by_image(seeds)
    assert wrong is not None

    found = row_of([(one,) for one in seeds], label="tiny", note="x")

    assert found.top1 is not None
    assert (found.top1.low, found.top1.high) == sample_of(wrong[1]).interval
    assert found.interval == "by image"
    with_file(None)(seeds[2])
    assert row_of([(one,) for one in seeds], label="tiny", note="x").interval == "counts only"


def test_two_runs_are_compared_by_which_images_are_wrong(tmp_path: Path) -> None:
    one = saved(tmp_path / "a", np.array([0, 1, 5, 0, 5, 5]))
    other = saved(tmp_path / "b", np.array([1, 0, 0, 0, 0, 4]))

    top1, top5 = compare(one, other)

    assert (top1.both_wrong, top1.only_first_wrong, top1.only_second_wrong) == (1, 3, 1)
    assert (top5.both_wrong, top5.only_first_wrong, top5.only_second_wrong) == (0, 3, 0)
    assert (top1.first_error, top1.second_error, top1.difference) == pytest.approx((4 / 6, 2 / 6, -2 / 6))
    assert top1.difference_low < top1.difference < top1.difference_high
    assert top5.exact_p == pytest.approx(2 / 8)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"store": "other"}, "different images: store"),
        ({"classes": tuple("gfedcba")}, "different images: classes"),
        ({"crops": "center"}, "no predictions for the same split and crops"),
        ({"split": "set-val"}, "no predictions for the same split and crops"),
    ],
)
def test_other_images_or_crops_are_not_compared(tmp_path: Path, changes: dict[str, str], what: str) -> None:
    ranks = np.zeros(6, int)

    with pytest.raises(UserError, match=what):
        compare(saved(tmp_path / "a", ranks), saved(tmp_path / "b", ranks, replace(ABOUT, **changes)))
