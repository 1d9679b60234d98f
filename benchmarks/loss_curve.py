"""Copy the loss curves of runs into a results folder: CSV, SVG, PNG, and a Markdown table of means over updates.

python benchmarks/loss_curve.py [LABEL=]RUN ... docs/results/NAME [--window 25] [--rows 8]

Runs of one label are seeds of one recipe: the table has their mean and spread, the figure a line for each.
"""

import argparse
import csv
from math import log
from pathlib import Path
from statistics import fmean, stdev

from alexrepro.engine.run import Run, open_run
from alexrepro.reports.plot import INK, LINES, axes, house_style, new_figure, save


def losses_of(run: Run) -> list[float]:
    """The loss of every update."""
    return [float(row["loss"]) for row in run.metrics]


def means(losses: list[float], window: int) -> list[tuple[int, float]]:
    """(last update of the window, mean loss of the window) for windows side by side."""
    ends = range(window, len(losses) + 1, window)
    return [(end, fmean(losses[end - window : end])) for end in ends]


def write(runs: dict[str, list[Run]], path: Path) -> None:
    """One line per update of each run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("label", "seed", "update", "epoch", "images", "loss"))
        for label, seeds in runs.items():
            for run in seeds:
                seed = run.environment["seed"]
                writer.writerows((label, seed, r["step"], r["epoch"], r["images"], r["loss"]) for r in run.metrics)


def draw(runs: dict[str, list[Run]], target: Path, *, window: int, chance: float) -> None:
    """A line of window means for each run, and one for chance."""
    with house_style():
        figure = new_figure(6.5, 3.8)
        place = axes(figure, x="update", y=f"training loss, mean of {window} updates, nats")
        for color, (label, seeds) in zip(LINES, runs.items(), strict=False):
            for number, run in enumerate(seeds):
                points = means(losses_of(run), window)
                place.plot(*zip(*points, strict=True), color=color, linewidth=1.2, label=None if number else label)
        place.axhline(chance, color=INK, linewidth=0.6, linestyle=":", label=f"chance, {chance:.3f}")
        place.legend(frameon=False)
    save(figure, target.parent, name=target.name)


def table(runs: dict[str, list[Run]], *, window: int, rows: int) -> str:
    """Means of windows, so many of them, the last one included."""
    ends = [end for end, _ in means(losses_of(next(iter(runs.values()))[0]), window)]
    shown = sorted({ends[round(i * (len(ends) - 1) / max(rows - 1, 1))] for i in range(rows)})
    lines = [f"| updates | {' | '.join(runs)} |", f"| --- |{' --- |' * len(runs)}"]
    for end in shown:
        cells = [f"{end - window + 1:,}–{end:,}"]
        for seeds in runs.values():
            found = [dict(means(losses_of(run), window)).get(end) for run in seeds]
            known = [value for value in found if value is not None]
            spread = f" ± {stdev(known):.3f}" if len(known) > 1 else ""
            cells.append(f"{fmean(known):.3f}{spread}" if known else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Write the files and print the table and what was validated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", help="[LABEL=]RUN")
    parser.add_argument("target", type=Path)
    parser.add_argument("--window", type=int, default=25)
    parser.add_argument("--rows", type=int, default=8)
    asked = parser.parse_args()
    runs: dict[str, list[Run]] = {}
    for text in asked.runs:
        label, _, path = text.rpartition("=")
        run = open_run(Path(path))
        runs.setdefault(label or run.recipe.name, []).append(run)
    chance = log(len(next(iter(runs.values()))[0].environment["classes"]))
    write(runs, asked.target.with_suffix(".csv"))
    draw(runs, asked.target, window=asked.window, chance=chance)
    print(table(runs, window=asked.window, rows=asked.rows))
    for label, seeds in runs.items():
        for run in seeds:
            for row in run.validations:
                errors = f"top-1 {row['top1_error']}, top-5 {row['top5_error']}, loss {row['loss']}"
                print(f"{label}, seed {run.environment['seed']}, epoch {row['epoch']}: {errors}")


if __name__ == "__main__":
    main()
