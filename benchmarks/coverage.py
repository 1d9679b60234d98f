"""How often intervals over several seeds cover the truth, by simulation: `python benchmarks/coverage.py`.

All seeds are evaluated on the same images, whose hardness is drawn from a Beta distribution and kept away from 0 and
1, so that it stays a probability when a seed shifts it. Prints the table of docs/explanation/intervals.md.
"""

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alexrepro.reports.statistics.intervals import sample_of, sample_of_counts, seeds_interval, unpaired_interval

SEEDS, SPREADS = (1, 2, 3, 5), (0.0, 0.005, 0.02)
MARGIN = 0.08  # four standard deviations of the largest spread


def main(asked: argparse.Namespace) -> None:
    """Print the fraction of trials whose interval covers the truth, one line per setting."""
    print("| seeds | seeds differ by | error | error, counts only | difference, paired | unpaired |")
    print("| --- | --- | --- | --- | --- | --- |")
    for seeds in SEEDS:
        for spread in SPREADS:
            draws = np.random.default_rng(seeds)
            held = [_trial(draws, asked.hardness, asked.images, seeds, spread) for _ in range(asked.trials)]
            shown = " | ".join(f"{100 * fraction:.1f} %" for fraction in np.mean(held, axis=0))
            print(f"| {seeds} | {100 * spread:.1f} points | {shown} |", flush=True)


def _trial(draws: np.random.Generator, beta: Sequence[float], images: int, seeds: int, spread: float) -> list[bool]:
    """Whether each kind of interval covers the truth, for two networks that are equally good."""
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--hardness", type=float, nargs=2, default=(0.3, 0.6), help="of the Beta distribution")
    main(parser.parse_args())
