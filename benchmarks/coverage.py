"""How often intervals over several seeds hold the truth, by simulation: `python benchmarks/coverage.py --trials 4000`.

All seeds are tested on the same images, whose hardness is drawn from a Beta distribution and pulled away from 0 and 1,
so that what a seed adds to it stays a probability. Prints the table of docs/explanation/intervals.md.
"""

import argparse

import numpy as np
from numpy.typing import NDArray

from alexrepro.reports.statistics import sample_of, sample_of_counts, seeds_interval, unpaired_interval

SEEDS, IMAGES, SPREADS = (1, 2, 3, 5), (100, 1000), (0.0, 0.005, 0.02)
HARDNESS = {"33 %": (0.3, 0.6), "5 %": (0.1, 1.9)}  # by the mean error
MARGIN = 0.08  # four standard deviations of the largest spread


def main() -> None:
    """Print the shares of trials whose interval holds the truth, one line a setting."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=1000)
    trials = parser.parse_args().trials
    print("| error | images | seeds | seeds differ by | error, answers | error, counts | paired | unpaired |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    settings = ((e, i, s, d) for e in HARDNESS for i in IMAGES for s in SEEDS for d in SPREADS)
    for name, images, seeds, spread in settings:
        draws = np.random.default_rng(0)
        held = np.mean([_trial(draws, HARDNESS[name], images, seeds, spread) for _ in range(trials)], axis=0)
        shown = " | ".join(f"{100 * share:.1f} %" for share in held)
        print(f"| {name} | {images:,} | {seeds} | {100 * spread:.1f} points | {shown} |", flush=True)


def _trial(draws: np.random.Generator, beta: tuple[float, float], images: int, seeds: int, spread: float) -> list[bool]:
    """Whether each kind of interval holds the truth, of two networks that are equally good."""
    margin = MARGIN if spread else 0.0

    def hardness() -> NDArray[np.float64]:
        return margin + (1 - 2 * margin) * draws.beta(*beta, size=(images, 1))

    def wrong(hard: NDArray[np.float64]) -> NDArray[np.bool_]:
        return draws.random((images, seeds)) < hard + draws.normal(0, spread, size=(1, seeds))

    truth = margin + (1 - 2 * margin) * beta[0] / sum(beta)
    hard = hardness()
    one, other, elsewhere = wrong(hard), wrong(hard), wrong(hardness())
    found = (
        (sample_of(one).interval, truth),
        (sample_of_counts(one.sum(axis=0).tolist(), images).interval, truth),
        (seeds_interval(one.astype(float) - other), 0.0),
        (unpaired_interval(sample_of(one), sample_of(elsewhere)), 0.0),
    )
    return [low <= value <= high for (low, high), value in found]


if __name__ == "__main__":
    main()
