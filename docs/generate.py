"""Writes the generated pages of the documentation; with --check, only says which are stale."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

import typer
from python_pages import notebook, reference, script
from typer.cli import get_docs_for_click

from alexrepro.cli.app import app
from alexrepro.cli.show import percent
from alexrepro.paper.citation import Status
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012, Entry, catalog
from alexrepro.recipes.ledger import Row, ledger, shown
from alexrepro.recipes.recipe import Recipe, differences
from alexrepro.recipes.variations import VARIATIONS, Variation

DOCS = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py; do not edit. -->"


def pages() -> dict[str, str]:
    """Each generated page by its path below docs/."""
    from_python = (DOCS / "how-to" / "from-python.md").read_text(encoding="utf-8")
    return {
        "reference/cli.md": f"{NOTE}\n\n{_commands()}",
        "reference/recipes.md": _recipes(),
        "reference/python-api.md": f"{NOTE}\n\n{reference()}",
        "explanation/fidelity.md": _fidelity(),
        "how-to/from-python.ipynb": notebook(from_python),
        "how-to/from_python.py": script(from_python),
    }


def _commands() -> str:
    program = typer.main.get_command(app)
    written = get_docs_for_click(obj=program, ctx=typer.Context(program, info_name="alexrepro"), name="alexrepro")
    return f"{written.strip()}\n"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines = [headings, ["---"] * len(headings), *rows]
    cells = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _recipes() -> str:
    named = [_catalog_row(entry) for entry in catalog().values()]
    variations = [_variation_row(variation) for variation in VARIATIONS.values()]
    parts = [
        NOTE,
        "# Recipes and variations",
        "A recipe holds every field that can change a number. `alexrepro train NAME` trains one; without a name, the\n"
        "recipe is chosen by the data set. Expected results come from the 2012 logs, or were published with the\n"
        "weights of later networks.",
        _table(("recipe", "like", "description", "epochs", "expected"), named),
        *(_departures(entry) for entry in catalog().values() if entry.like),
        "## Variations",
        "A variation is a change of fields that `alexrepro ablate NAME` trains beside its base. Differences are in\n"
        "points of top-1 / top-5 error, as the paper prints them.",
        _table(("variation", "description", "changes", "section", "printed difference"), variations),
    ]
    return "\n\n".join(parts) + "\n"


def _catalog_row(entry: Entry) -> list[str]:
    expected = "; ".join(
        f"{' / '.join(filter(None, (percent(e.top1_error), percent(e.top5_error))))} on {e.split} ({e.crops})"
        for e in entry.expected
    )
    recipe = entry.recipe
    return [
        f"`{recipe.name}`",
        entry.like or "",
        recipe.description,
        str(recipe.training.epochs),
        expected or "not known",
    ]


def _departures(entry: Entry) -> str:
    base = catalog()[entry.like or ""].recipe
    return f"## {entry.recipe.name}\n\nLike `{base.name}`, but:\n\n{_difference_table(base, entry.recipe)}"


def _difference_table(one: Recipe, other: Recipe) -> str:
    rows = [[f"`{path}`", shown(left), shown(right)] for path, (left, right) in differences(one, other).items()]
    return _table(("field", one.name, other.name), rows)


def _variation_row(variation: Variation) -> list[str]:
    plain = {
        path: json.dumps(value) if isinstance(value, list) else shown(value) for path, value in variation.but.items()
    }
    changes = [f"`{path}={value}`" for path, value in plain.items()]
    changes += [f"`{path}` × {factor:g}" for path, factor in variation.times.items()]
    changes += [f"a copy of {old} after it, {new}" for old, new in variation.copies.items()]
    if variation.matches:
        widths = " and ".join(" = ".join(group) for group in variation.matches)
        varied = variation.of(AS_RUN_2012).description.rpartition(": ")[2]
        changes.append(f"computed maps of {widths} (of as-run-2012: {varied})")
    if variation.width != 1:
        changes.append(f"all maps × {variation.width:g}, `weight_std` / √{variation.width:g}")
    if variation.images != 1:
        changes.append(f"`training.images_fraction={variation.images:g}`, epochs / {variation.images:g}")
    printed = _points(variation.tests.top1_delta, variation.tests.top5_delta) if variation.tests else "none printed"
    return [f"`{variation.name}`", variation.description, ", ".join(changes), variation.section, printed]


def _points(top1: float | None, top5: float | None) -> str:
    return " / ".join("–" if delta is None else f"{100 * delta:+.1f}" for delta in (top1, top5))


def _fidelity() -> str:
    rows = ledger()
    parts = [
        NOTE,
        "# Fidelity ledger",
        "What the paper prints, what the released 2012 code and its notebook show was run, and where each value comes\n"
        "from. `alexrepro facts` prints the same rows, and `alexrepro facts P16` one of them in full.",
        *_statements(rows["statements"]),
        "## Where what was run departs from the text",
        "Every field in which `as-run-2012` differs from `as-printed`:",
        _difference_table(AS_PRINTED, AS_RUN_2012),
        "## Every cited field",
        "A § is a section of the paper; a file is one of the released 2012 code, or of cuda-convnet where it says so:\n"
        "its kernels were not released with it. `silent, chosen` marks what no source says. `none` means that the\n"
        "recipe has no such part. Values in bold differ from the text.",
        _table(("field", "as printed", "as run in 2012", "source", "description"), map(_field_row, rows["fields"])),
        "## Errors that the authors printed",
        _table(
            ("method", "section", "split", "crops", "top-1", "top-5", "description"),
            map(_reported_row, rows["reported"]),
        ),
        "## Differences that the authors printed",
        "In points, the variation minus the paper's network. The split is that of the 2012 logs; the text names none.",
        _table(("change", "section", "split", "top-1 / top-5", "description"), map(_delta_row, rows["deltas"])),
        "## Results in the 2012 logs",
        _table(
            ("config", "file", "description", "split", "crops", "epochs", "top-1", "top-5", "loss"),
            map(_logged_row, rows["logged"]),
        ),
        "## Entries of the challenge of 2012",
        "From the official results page; the networks are those that the name of the submitted file lists.",
        _table(("entry", "networks", "split", "top-5"), map(_submitted_row, rows["submitted"])),
    ]
    return "\n\n".join(parts) + "\n"


def _statements(rows: list[Row]) -> list[str]:
    counts = Counter(row["status"] for row in rows)
    return [
        "## What the paper says, and what the released code does beyond it",
        "Statements of the paper are numbered P, traits of the released 2012 code S, both in our words. *Here* is how\n"
        "this code treats them: *as printed* is what `as-printed` does, *as run* what `as-run-2012` does; *not run*\n"
        "can be measured with this code and has not been. A field shows its value in\n"
        "`as-printed` and, where it differs, the one in `as-run-2012` in bold. The last column names the tests that\n"
        "fail if this changes, and the recipe or experiment that measures it. `make test-pins` changes what each row\n"
        "says, value by value, and expects one of its tests to fail.",
        ", ".join(f"{counts[status]} {status}" for status in get_args(Status) if counts[status]) + ".",
        _table(
            ("", "source", "description", "in 2012", "here", "fields of a recipe", "pinned by"),
            map(_statement_row, rows),
        ),
    ]


def _statement_row(row: Row) -> list[str]:
    here = f"**{row['status']}**" + (f": {row['note']}" if row["note"] else "")
    fields = "<br>".join(map(_value_of_field, row["fields"]))
    pins = "<br>".join(f"`{pin.removeprefix('tests/')}`" for pin in row["pins"])
    return [row["id"], row["source"], row["description"], row["in_2012"], here, fields, pins]


def _value_of_field(field: Row) -> str:
    printed, run = shown(field["printed"]), shown(field["as_run"])
    return f"`{field['path']}`: {printed}" + ("" if run == printed else f"; **{run}**")


def _field_row(row: Row) -> list[str]:
    run = shown(row["as_run"])
    marked = run if row["as_run"] == row["printed"] else f"**{run}**"
    return [f"`{row['path']}`", shown(row["printed"]), marked, row["source"], row["description"]]


def _reported_row(row: Row) -> list[str]:
    errors = [percent(row["top1_error"]) or "–", percent(row["top5_error"]) or "–"]
    return [row["label"], row["section"], row["split"], row["crops"] or "not said", *errors, row["description"]]


def _delta_row(row: Row) -> list[str]:
    points = _points(row["top1_delta"], row["top5_delta"])
    return [row["name"], row["section"], row["split"] or "not said", points, row["description"]]


def _logged_row(row: Row) -> list[str]:
    errors = [percent(row["top1_error"], 2), percent(row["top5_error"], 2)]
    where = [row["split"], row["crops"] or "not said", row["epochs"]]
    return [row["config"], row["source"], row["description"], *where, *errors, str(row["loss"] or "–")]


def _submitted_row(row: Row) -> list[str]:
    return [row["name"], ", ".join(row["members"]) or "–", row["split"], percent(row["top5_error"], 2)]


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check name the stale ones on stderr and return 1 if there are any."""
    made = {DOCS / name: text for name, text in pages().items()}
    stale = [path for path, text in made.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(DOCS.parent)} is stale; write it anew with: make docs", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
