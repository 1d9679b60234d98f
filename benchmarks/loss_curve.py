"""Copy the loss curves of runs into a results folder: CSV, SVG, PNG, and a Markdown table of means over steps.

python benchmarks/loss_curve.py [LABEL=]RUN ... docs/results/NAME [--window 25] [--rows 8]

Runs with one label are seeds of one recipe: the table has their mean and spread, the figure their mean in a band from
the lowest to the highest. A run has left chance at the end of the first window whose mean is LEARNED nats below it.
"""

import argparse
import csv
from math import log
from pathlib import Path
from statistics import fmean, stdev

from matplotlib.figure import Figure

from alexrepro.reports.figures.plot import INK, line, save, style
from alexrepro.runs.run import Run, open_run

LEARNED = 0.1
Means = dict[str, list[dict[int, float]]]  # by label, for each seed: mean losses of windows by their last step


def labeled(text: str) -> tuple[str, Run]:
    """The run of [LABEL=]RUN and its label, which is its recipe's name if none is given."""
    label, _, path = text.rpartition("=")
    run = open_run(Path(path))
    return label or run.recipe.name, run


def means(run: Run, window: int) -> dict[int, float]:
    """The mean loss of each window by its last step; windows do not overlap."""
    losses = run.metrics["loss"].tolist()
    return {end: fmean(losses[end - window : end]) for end in range(window, len(losses) + 1, window)}


def write(runs: dict[str, list[Run]], path: Path) -> None:
    """One line per step of each run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("label", "seed", "step", "epoch", "images", "loss"))
        for label, seeds in runs.items():
            for run in seeds:
                seed = run.environment["seed"]
                rows = run.metrics[["step", "epoch", "images", "loss"]].astype(object)
                writer.writerows((label, seed, *row) for row in rows.itertuples(index=False))


def draw(found: Means, target: Path, *, window: int, chance: float) -> None:
    """A line of window means for each label, with a band around it if there are several seeds, and one for chance."""
    with style():
        figure = Figure(figsize=(9, 6))
        panel = figure.add_subplot(xlabel="step", ylabel=f"training loss (−ln p), mean of {window} steps")
        for number, (label, seeds) in enumerate(found.items()):
            ends = sorted(set.intersection(*map(set, seeds)))
            known = [[curve[end] for curve in seeds] for end in ends]
            gap = max(len(found), len(ends) // 6)  # between markers, which do not hide those of other lines
            marks = sorted({*range(number % gap, len(ends), gap), len(ends) - 1})
            look = line(number) | {"markevery": marks}
            panel.plot(ends, [*map(fmean, known)], label=label, **look)
            if len(seeds) > 1:
                band = [*map(min, known)], [*map(max, known)]
                panel.fill_between(ends, *band, color=look["color"], alpha=0.2, linewidth=0)
        panel.axhline(chance, color=INK, linewidth=1, linestyle=(0, (1, 3)), label=f"chance, {chance:.3f}")
        figure.legend(loc="outside lower center", ncols=2)
    save(figure, target.parent, name=target.name, title="Training loss by step")


def table(found: Means, *, window: int, rows: int) -> str:
    """Means of that many windows, including the last one."""
    ends = [*next(iter(found.values()))[0]]
    shown = sorted({ends[round(i * (len(ends) - 1) / max(rows - 1, 1))] for i in range(rows)})
    lines = [f"| steps | {' | '.join(found)} |", f"| --- |{' --- |' * len(found)}"]
    for end in shown:
        cells = [f"{end - window + 1:,}–{end:,}"]
        for seeds in found.values():
            known = [curve[end] for curve in seeds if end in curve]
            spread = f" ± {stdev(known):.3f}" if len(known) > 1 else ""
            cells.append(f"{fmean(known):.3f}{spread}" if known else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def left_chance(curve: dict[int, float], chance: float) -> str:
    """The step after which the run had left chance, in words."""
    end = next((end for end, loss in curve.items() if loss < chance - LEARNED), None)
    return f"left chance by step {end:,}" if end else f"still at chance after {max(curve):,} steps"


def main() -> None:
    """Write the files and print the table, when each run left chance, and its validations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", help="[LABEL=]RUN")
    parser.add_argument("target", type=Path)
    parser.add_argument("--window", type=int, default=25)
    parser.add_argument("--rows", type=int, default=8)
    asked = parser.parse_args()
    runs: dict[str, list[Run]] = {}
    for text in asked.runs:
        label, run = labeled(text)
        runs.setdefault(label, []).append(run)
    chance = log(len(next(iter(runs.values()))[0].environment["classes"]))
    write(runs, asked.target.with_suffix(".csv"))
    found = {label: [means(run, asked.window) for run in seeds] for label, seeds in runs.items()}
    draw(found, asked.target, window=asked.window, chance=chance)
    print(table(found, window=asked.window, rows=asked.rows))
    for label, seeds in runs.items():
        for run, curve in zip(seeds, found[label], strict=True):
            name = f"{label}, seed {run.environment['seed']}"
            print(f"{name}: {left_chance(curve, chance)}")
            for row in run.validations.to_dict("records"):
                errors = f"top-1 {row['top1_error']}, top-5 {row['top5_error']}, loss {row['loss']}"
                print(f"{name}, epoch {row['epoch']}: {errors}")


if __name__ == "__main__":
    main()
