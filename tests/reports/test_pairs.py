"""Pairs of runs on the same images: the interval of a difference from the saved answers, or none without them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexrepro.reports.statistics.gap import measured_gap
from alexrepro.reports.statistics.intervals import (
    difference_interval,
    paired_interval,
    sample_of,
    seeds_interval,
)
from alexrepro.reports.statistics.pairs import Pairs, image_differences
from alexrepro.reports.tables.answers import wrong_by_image
from alexrepro.reports.tables.delta_rows import delta_table
from alexrepro.reports.tables.error_rows import measured_row
from alexrepro.runs.evaluation import Evaluation, EvaluationFiles
from alexrepro.runs.predictions import About, Predictions, write_predictions

IMAGES = 60
ABOUT = About("run", 2, "set-test", "ten", "5704e", "9e0ce55", tuple("abcdefg"), tuple("abcdefg"))
HARDNESS = np.random.default_rng(0).random(IMAGES)  # the same images are hard for all


def made(folder: Path, name: str, seed: int, *, about: About = ABOUT) -> Evaluation:
    """A run whose ranks are drawn, with its evaluation and its answers."""
    draws = np.random.default_rng([seed, *name.encode()])
    ranks = np.minimum((HARDNESS * 7 + draws.integers(0, 3, IMAGES)).astype(int), 6)
    guesses = np.tile(np.arange(5), (IMAGES, 1))
    names = tuple(f"{row}.JPEG" for row in range(IMAGES))
    answers = Predictions(
        about, names, np.zeros(IMAGES, int), guesses, np.full((IMAGES, 5), 0.2, "f4"), np.zeros(IMAGES), ranks
    )
    run = folder / f"{name}-{seed}"
    write_predictions(answers, EvaluationFiles(run).predictions(about.split, about.crops))
    return Evaluation(
        run=str(run), recipe=name, digest=name, seed=seed, epochs=2, dataset="set", split="set-test",
        crops=about.crops,
        images=IMAGES, top1_correct=int((ranks < 1).sum()), top5_correct=int((ranks < 5).sum()), loss=1.0,
        store=about.store,
    )  # fmt: skip


def pairs_of(folder: Path, seeds: int) -> list[tuple[Evaluation, Evaluation]]:
    return [(made(folder, "tiny+no-norm", seed), made(folder, "tiny", seed)) for seed in range(seeds)]


def row(pairs: Pairs) -> dict[str, object]:
    (only,) = delta_table([b for _, b in pairs], {"no-norm": [v for v, _ in pairs]}).as_dict()["rows"]
    return dict(only)


def test_differences_are_the_mean_over_pairs_of_who_is_wrong(tmp_path: Path) -> None:
    pairs = pairs_of(tmp_path, 3)

    found = image_differences(pairs)

    assert found is not None
    assert {*found[1].flat} <= {-1.0, 0.0, 1.0}
    for top in (1, 5):
        errors = [getattr(v, f"top{top}_error") - getattr(b, f"top{top}_error") for v, b in pairs]
        assert found[top].shape == (IMAGES, 3)
        assert found[top].mean() == pytest.approx(np.mean(errors), abs=1e-12)  # rounding only


def test_one_seed_has_the_interval_of_its_discordant_images(tmp_path: Path) -> None:
    pairs = pairs_of(tmp_path, 1)
    differences = image_differences(pairs)
    assert differences is not None

    found = row(pairs)

    only_base, only_variation = int((differences[1] < 0).sum()), int((differences[1] > 0).sum())
    assert only_base > 0
    assert only_variation > 0
    assert (found["top1_low"], found["top1_high"]) == paired_interval(only_base, only_variation, IMAGES)
    assert "paired by image" in str(found["interval"])


def test_the_gap_between_crops_is_of_the_same_images(tmp_path: Path) -> None:
    center, ten = made(tmp_path, "a", 0, about=replace(ABOUT, crops="center")), made(tmp_path, "b", 0)
    differences = image_differences([(center, ten)])
    assert differences is not None

    found = measured_gap([center], [ten])

    only_ten, only_center = int((differences[1] < 0).sum()), int((differences[1] > 0).sum())
    assert found.top1 == pytest.approx((only_center - only_ten) / IMAGES)
    assert found.top1_range == paired_interval(only_ten, only_center, IMAGES)
    elsewhere = replace(center, split="set-val", images=2 * IMAGES)
    assert measured_gap([elsewhere], [ten]).top1_range == difference_interval(
        2 * IMAGES - center.top1_correct, 2 * IMAGES, base_wrong=IMAGES - ten.top1_correct, base_images=IMAGES
    )


def test_several_seeds_are_clustered_by_image(tmp_path: Path) -> None:
    pairs = pairs_of(tmp_path, 3)
    differences = image_differences(pairs)
    assert differences is not None

    found = row(pairs)

    assert (found["top5_low"], found["top5_high"]) == seeds_interval(differences[5])
    assert found["top5_std"] is not None
    assert found["seeds"] == 3


def test_the_error_of_several_seeds_is_clustered_by_image(tmp_path: Path) -> None:
    seeds = [made(tmp_path, "tiny", seed) for seed in range(3)]
    wrong = wrong_by_image(seeds)
    assert wrong is not None

    found = measured_row(seeds, label="tiny", printed=None, note="other data")

    assert (found.top1_low, found.top1_high) == sample_of(wrong[1]).interval
    assert found.interval == "by image"
    without_file(seeds[2])
    assert measured_row(seeds, label="tiny", printed=None, note="other data").interval == "counts only"


def test_people_see_which_interval_it_is_and_which_claim_stands_apart(tmp_path: Path) -> None:
    pairs = pairs_of(tmp_path, 2)
    headings, (cells,) = delta_table([b for _, b in pairs], {"no-norm": [v for v, _ in pairs]}).shown()
    shown = dict(zip(headings, cells, strict=True))

    assert shown["interval"] == "paired"
    assert "±" in shown["top-1, points (95 %)"]
    assert shown["claim"] == "§3.3: no-norm adds +1.4 / +1.2 points"
    assert shown["verdict"] == "not comparable"
    assert shown["note"].startswith("other data")
    assert "printed" not in shown


def without_file(evaluation: Evaluation) -> Evaluation:
    EvaluationFiles(Path(evaluation.run)).predictions("set-test", "ten").unlink()
    return evaluation


def with_a_broken_file(evaluation: Evaluation) -> Evaluation:
    EvaluationFiles(Path(evaluation.run)).predictions("set-test", "ten").write_bytes(b"PAR1")
    return evaluation


@pytest.mark.parametrize(
    "spoiled",
    [
        without_file,
        with_a_broken_file,
        lambda e: replace(e, top1_correct=e.top1_correct - 1),
        lambda e: replace(e, store="of other images"),
        lambda e: replace(e, epochs=1),
        lambda e: made(Path(e.run).parent, e.recipe, e.seed, about=replace(ABOUT, classes=tuple("gfedcba"))),
    ],
    ids=["no file", "broken file", "other counts", "other store", "earlier", "other classes"],
)
def test_answers_that_do_not_fit_leave_the_interval_of_two_samples(tmp_path: Path, spoiled) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    (variation, base), *others = pairs_of(tmp_path, 2)
    pairs = [(spoiled(variation), base), *others]

    assert image_differences(pairs) is None


def test_without_answers_the_interval_says_that_it_is_unpaired(tmp_path: Path) -> None:
    pairs = pairs_of(tmp_path, 1)
    without_file(pairs[0][0])

    found = row(pairs)

    wrong, base_wrong = (IMAGES - e.top1_correct for e in pairs[0])
    ends = difference_interval(wrong, IMAGES, base_wrong=base_wrong, base_images=IMAGES)
    assert (found["top1_low"], found["top1_high"]) == ends
    assert "unpaired" in str(found["interval"])
