"""Copy a run's loss curve into a results folder: CSV, SVG and a Markdown table of means over 25 updates.

python benchmarks/loss_curve.py RUN docs/results/NAME
"""

import csv
import sys
from math import log
from pathlib import Path
from statistics import fmean

import matplotlib as mpl

from alexrepro.engine.run import Run, open_run

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "alexrepro"  # the same curve is the same bytes
from matplotlib import pyplot as plt  # noqa: E402 the backend is chosen first

WINDOW = 25  # updates


def means(losses: list[float]) -> list[tuple[int, float]]:
    """(last update of the window, mean loss of the window) for windows side by side."""
    ends = range(WINDOW, len(losses) + 1, WINDOW)
    return [(end, fmean(losses[end - WINDOW : end])) for end in ends]


def draw(losses: list[float], *, chance: float, title: str, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(7, 4))
    axes.plot(range(1, len(losses) + 1), losses, linewidth=0.6, alpha=0.5, label="each update")
    axes.plot(*zip(*means(losses), strict=True), linewidth=2, label=f"mean of {WINDOW} updates")
    axes.axhline(chance, color="gray", linestyle="--", label=f"chance, {chance:.3f}")
    axes.set(xlabel="update", ylabel="training loss, nats", title=title, ylim=(min(losses) - 0.1, chance + 1))
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main(run: Run, target: Path) -> None:
    rows, environment = run.metrics, run.environment
    losses = [float(row["loss"]) for row in rows]
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("update", "epoch", "images", "loss"))
        writer.writerows((row["step"], row["epoch"], row["images"], row["loss"]) for row in rows)
    chance = log(len(environment["classes"]))
    title = f"{environment['recipe']} on {environment['dataset']}, seed {environment['seed']}"
    draw(losses, chance=chance, title=title, path=target.with_suffix(".svg"))
    print("| updates | mean loss |\n| --- | --- |")
    for end, mean in means(losses):
        print(f"| {end - WINDOW + 1}–{end} | {mean:.3f} |")
    last = fmean(losses[-WINDOW:])
    print(f"\nThe last {WINDOW} of {len(losses)}: {last:.3f}; updates 476-500: {fmean(losses[475:500]):.3f}")
    for row in run.validations:
        print(f"epoch {row['epoch']}: top-1 {row['top1_error']}, top-5 {row['top5_error']}, loss {row['loss']}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(open_run(Path(sys.argv[1])), Path(sys.argv[2]))
