"""`alexrepro recipes`: the named recipes, the fields of one, and the fields in which two differ."""

from typing import Annotated, Any

import typer

from alexrepro.cli.options import Json
from alexrepro.cli.show import percent, print_json, print_table
from alexrepro.recipes.catalog import MAIN, TOLERANCE, Entry, catalog, find_recipe
from alexrepro.recipes.ledger import shown
from alexrepro.recipes.recipe import Recipe, differences

recipes = typer.Typer(name="recipes", help="List, show and compare recipes.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Recipe name or TOML file.", show_default=False)]


@recipes.command("list")
def list_recipes(
    every: Annotated[bool, typer.Option("--all", help="Also list the siblings that were run in 2012.")] = False,
    json: Json = False,
) -> None:
    """List the named recipes and the results they should reach.

    Expected results come from the 2012 logs or were published with later networks; ± is the tolerance of one run.

    Example:  alexrepro recipes list
    """
    rows = [_row(entry) for name, entry in catalog().items() if every or name in MAIN]
    if json:
        print_json({"recipes": rows})
        return
    columns = ("name", "digest", "like", "description", "epochs", "expected")
    cells = [[*map(row.get, columns[:-1]), "\n".join(map(_result, row["expected"]))] for row in rows]
    print_table("Recipes", columns, cells, right=("epochs",))


@recipes.command("show")
def show(
    name: Name,
    toml: Annotated[bool, typer.Option("--toml", help="Print every field as TOML instead.")] = False,
    json: Json = False,
) -> None:
    """Print the fields in which a recipe departs from the text of the paper.

    With --toml, prints every field; saved to a file ending in .toml they can be edited and used in place of a name.

    Example:  alexrepro recipes show as-run-2012 --toml > mine.toml
    """
    if toml and not json:
        print(find_recipe(name).to_toml(), end="")
    else:
        _compare(find_recipe("as-printed"), find_recipe(name), json=json, toml=toml)


@recipes.command("diff")
def diff(one: Name, other: Name, json: Json = False) -> None:
    """Print the fields in which two recipes differ.

    Example:  alexrepro recipes diff as-printed as-run-2012
    """
    _compare(find_recipe(one), find_recipe(other), json=json)


def _compare(one: Recipe, other: Recipe, *, json: bool, toml: bool = False) -> None:
    found = [(path, left, right) for path, (left, right) in differences(one, other).items()]
    if json:
        rows = [dict(zip(("path", "one", "other"), row, strict=True)) for row in found]
        file = {"toml": other.to_toml()} if toml else {}
        print_json(_named(other) | {"compared_with": _named(one), "differences": rows} | file)
        return
    print(f"{other.name}-{other.digest}: {other.description}.")
    if found:
        rows_shown = [[path, shown(left), shown(right)] for path, left, right in found]
        print_table("Fields that differ", ("field", one.name, other.name), rows_shown)


def _row(entry: Entry) -> dict[str, Any]:
    tolerance = {"top1_tolerance": TOLERANCE[0], "top5_tolerance": TOLERANCE[1]}
    fields = ("split", "crops", "top1_error", "top5_error")
    expected = [{name: getattr(result, name) for name in fields} | tolerance for result in entry.expected]
    return _named(entry.recipe) | {"like": entry.like, "epochs": entry.recipe.training.epochs, "expected": expected}


def _named(recipe: Recipe) -> dict[str, Any]:
    return {"name": recipe.name, "digest": recipe.digest, "description": recipe.description}


def _result(expected: dict[str, Any]) -> str:
    errors = " / ".join(filter(None, (percent(expected["top1_error"]), percent(expected["top5_error"]))))
    within = " / ".join(f"{100 * expected[f'top{n}_tolerance']:.1f}" for n in (1, 5))
    crops = "ten crops" if expected["crops"] == "ten" else f"{expected['crops']} crop"
    return f"{errors} ± {within} on {expected['split']}, {crops}"
