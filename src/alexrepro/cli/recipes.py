"""`alexrepro recipes`: the named recipes, the fields of one, and the fields in which two differ."""

from typing import Annotated, Any

import typer

from alexrepro.cli.options import Json
from alexrepro.cli.show import percent, print_json, print_result, print_table, print_text
from alexrepro.progress import say
from alexrepro.recipes.catalog import MAIN, TOLERANCE, catalog, find_recipe
from alexrepro.recipes.ledger import shown
from alexrepro.recipes.recipe import Recipe, differences

recipes = typer.Typer(name="recipes", help="List, show and compare recipes.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Recipe name or TOML file.", show_default=False)]


@recipes.command("list")
def list_recipes(
    every: Annotated[bool, typer.Option("--all", help="List every recipe, also the other networks of 2012.")] = False,
    json: Json = False,
) -> None:
    """List the named recipes and the results they should reach.

    Expected results come from the 2012 logs or were published with later networks; ± is the tolerance of one run.

    Example:  alexrepro recipes list
    """
    columns, names = ["name", "digest", "like", "description", "epochs"], ("split", "crops", "top1_error", "top5_error")
    tolerance = {"top1_tolerance": TOLERANCE[0], "top5_tolerance": TOLERANCE[1]}
    rows, cells = [], []
    for entry in (entry for name, entry in catalog().items() if every or name in MAIN):
        expected = [{name: getattr(result, name) for name in names} | tolerance for result in entry.expected]
        about = _named(entry.recipe) | {"like": entry.like, "epochs": entry.recipe.training.epochs}
        rows.append(about | {"expected": expected})
        cells.append([*map(about.get, columns), "\n".join(map(_sentence, expected))])
    print_result({"recipes": rows}, "Recipes", (*columns, "expected"), cells, right=("epochs",), json=json)
    if not every:
        say(f"These are {len(rows)} of {len(catalog())} recipes. List all with: alexrepro recipes list --all")


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
    recipe = find_recipe(name)
    if not toml:
        diff("as-printed", name, json)
        say(f"Every field: alexrepro recipes show {name} --toml")
    elif json:
        print_json(_named(recipe) | {"toml": recipe.to_toml()})
    else:
        print(recipe.to_toml(), end="")


@recipes.command("diff")
def diff(one: Name, other: Name, json: Json = False) -> None:
    """Print the fields in which two recipes differ.

    Example:  alexrepro recipes diff as-printed as-run-2012
    """
    left, right = find_recipe(one), find_recipe(other)
    found = [{"path": path, "one": a, "other": b} for path, (a, b) in differences(left, right).items()]
    if json:
        print_json(_named(right) | {"compared_with": _named(left), "differences": found})
        return
    print_text(f"{right.name}-{right.digest}: {right.description}.")
    if found:
        cells = [[*map(shown, row.values())] for row in found]
        print_table("Fields that differ", ("field", left.name, right.name), cells)


def _named(recipe: Recipe) -> dict[str, Any]:
    return {"name": recipe.name, "digest": recipe.digest, "description": recipe.description}


def _sentence(expected: dict[str, Any]) -> str:
    errors = " / ".join(filter(None, (percent(expected["top1_error"]), percent(expected["top5_error"]))))
    crops = "ten crops" if expected["crops"] == "ten" else f"{expected['crops']} crop"
    return f"{errors} ± {100 * TOLERANCE[0]:.1f} / {100 * TOLERANCE[1]:.1f} on {expected['split']}, {crops}"
