"""How evaluations are printed: a table with 95 % intervals, or one JSON object."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from alexrepro.cli.show import percent, print_json, print_table
from alexrepro.progress import say
from alexrepro.reports.statistics.intervals import wilson_interval
from alexrepro.reports.tables.breakdown import SHOWN, save_breakdown
from alexrepro.runs.evaluation import Evaluation

DIGITS = 12  # of the digest of the preprocessing, whose 64 are in --json


def print_evaluations(evaluations: Sequence[Evaluation], *, with_breakdown: bool, json: bool) -> None:
    """Print evaluations, the one that was asked for last, and its breakdown if wanted."""
    *others, asked = evaluations
    tables, files = save_breakdown(asked) if with_breakdown else ({}, [])
    if json:
        shown = {name: table.head(SHOWN).to_dict("records") for name, table in tables.items()}
        also = {"breakdown": {**shown, "files": [str(file) for file in files]}} if with_breakdown else {}
        print_json(_facts(asked) | {e.crops: _facts(e) for e in others} | also)
        return
    columns = ["crops", "images", "top-1 error (95 %)", "top-5 error (95 %)", "loss", "ties", "preprocessing"]
    print_table(f"{asked.run} on {asked.split}", columns, [_row(e) for e in evaluations], right=columns[1:])
    for name, table in tables.items():
        worst = table.head(SHOWN).round(4)
        title = f"{name}, the first {len(worst)} of {len(table):,}"
        print_table(title, worst.columns.astype(str).tolist(), worst.to_numpy().tolist())
    if files:
        say(f"Wrote {', '.join(map(str, files))}.")


def _row(e: Evaluation) -> list[str]:
    row = [e.crops, f"{e.images:,}"]
    for correct, error in ((e.top1_correct, e.top1_error), (e.top5_correct, e.top5_error)):
        low, high = wilson_interval(e.images - correct, e.images)
        row.append(f"{percent(error, 2)} ({100 * low:.2f}–{100 * high:.2f})")
    return [*row, f"{e.loss:.4f}", f"{e.tied_images:,}", (e.preprocessing or "")[:DIGITS]]


def _facts(e: Evaluation) -> dict[str, Any]:
    """Everything that is saved, the errors, and their 95 % Wilson intervals."""
    facts = asdict(e) | {"top1_error": e.top1_error, "top5_error": e.top5_error}
    for top, correct in (("top1", e.top1_correct), ("top5", e.top5_correct)):
        facts[f"{top}_low"], facts[f"{top}_high"] = wilson_interval(e.images - correct, e.images)
    return facts
