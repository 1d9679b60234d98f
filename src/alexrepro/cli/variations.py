"""The variations that `alexrepro ablate` knows, as a table."""

from alexrepro.cli.show import print_json, print_table
from alexrepro.progress import say
from alexrepro.recipes.variations import VARIATIONS, Variation


def list_variations(json: bool) -> None:
    """Print every variation with the printed difference that it tests and the number in the 2012 logs."""
    rows = [_row(variation) for variation in VARIATIONS.values()]
    if json:
        print_json({"variations": rows})
        return
    print_table("What can be ablated", list(rows[0]), [list(row.values()) for row in rows])
    say("Train some of them with: alexrepro ablate NAME ...")


def _row(variation: Variation) -> dict[str, str]:
    printed, logged = variation.tests, variation.logged
    deltas = (printed.top1_delta, printed.top5_delta) if printed else ()
    shown = " / ".join("–" if delta is None else f"{100 * delta:+.1f}" for delta in deltas)
    log = f"#{logged.config}: {100 * logged.top1_error:.2f} / {100 * logged.top5_error:.2f} %" if logged else ""
    return {
        "variation": variation.name, "description": variation.description, "section": variation.section,
        "printed": f"{shown} points" if printed else "no printed number", "2012 log": log,
    }  # fmt: skip
