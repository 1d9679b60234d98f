"""`alexrepro recipes`: the named recipes, the fields of one, and how two differ."""

from typing import Annotated, Any

import typer

from alexrepro.cli.options import Json
from alexrepro.cli.show import percent, print_json, print_table
from alexrepro.recipes.as_printed_and_run import AS_PRINTED
from alexrepro.recipes.catalog import TOLERANCE, Entry, catalog, find_recipe
from alexrepro.recipes.ledger import shown
from alexrepro.recipes.recipe import Recipe, differences

recipes = typer.Typer(name="recipes", help="List, show and compare recipes.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Recipe name or TOML file.", show_default=False)]

SPELLED_OUT = 3  # differences that a sentence can bear


@recipes.command("list")
def list_recipes(json: Json = False) -> None:
    """List the named recipes and what they should reach.

    The expected results are those noted in the released 2012 code, or published with the weights of later networks,
    and by how much one run may miss them.

    Example:  alexrepro recipes list
    """
    rows = [_entry(entry) for entry in catalog().values()]
    if json:
        print_json({"recipes": rows})
        return
    print_table(
        "Recipes",
        ("name", "digest", "like", "description", "epochs", "expected result"),
        [
            [
                row["name"],
                row["digest"],
                row["like"],
                row["description"],
                row["epochs"],
                "\n".join(map(_result, row["expected"])),
            ]
            for row in rows
        ],
        right=("epochs",),
    )


@recipes.command("show")
def show(
    name: Name,
    toml: Annotated[bool, typer.Option("--toml", help="Print every field as TOML instead.")] = False,
    json: Json = False,
) -> None:
    """Print the fields in which a recipe departs from the text.

    With --toml, prints the whole recipe; saved to a file ending in .toml it can be edited and given to any command
    in place of a name.

    Example:  alexrepro recipes show as-run-2012 --toml > mine.toml
    """
    recipe = find_recipe(name)
    if json:
        whole = {"toml": recipe.to_toml()} if toml else {}
        print_json(_named(recipe) | {"differences": _differences(AS_PRINTED, recipe)} | whole)
        return
    if toml:
        print(recipe.to_toml(), end="")
        return
    print(f"{recipe.name}-{recipe.digest}: {recipe.description}.")
    _print_differences(AS_PRINTED, recipe)


@recipes.command("diff")
def diff(
    one: Annotated[str, typer.Argument(help="Recipe name or TOML file to compare with.", show_default=False)],
    other: Annotated[str, typer.Argument(help="Recipe name or TOML file that differs.", show_default=False)],
    json: Json = False,
) -> None:
    """Print how one recipe differs from another.

    Example:  alexrepro recipes diff as-printed as-run-2012
    """
    left, right = find_recipe(one), find_recipe(other)
    if json:
        found = {"one": _named(left), "other": _named(right), "sentence": _sentence(left, right)}
        print_json(found | {"differences": _differences(left, right)})
        return
    print(_sentence(left, right))
    _print_differences(left, right)


def _entry(entry: Entry) -> dict[str, Any]:
    expected = [
        {name: getattr(result, name) for name in ("split", "crops", "top1_error", "top5_error")}
        | {"top1_tolerance": TOLERANCE[0], "top5_tolerance": TOLERANCE[1]}
        for result in entry.expected
    ]
    return _named(entry.recipe) | {"like": entry.like, "epochs": entry.recipe.training.epochs, "expected": expected}


def _named(recipe: Recipe) -> dict[str, Any]:
    return {"name": recipe.name, "digest": recipe.digest, "description": recipe.description}


def _result(expected: dict[str, Any]) -> str:
    errors = " / ".join(filter(None, (percent(expected["top1_error"]), percent(expected["top5_error"]))))
    within = " / ".join(f"{100 * expected[f'top{n}_tolerance']:.1f}" for n in (1, 5))
    crops = f"{expected['crops']} crop{'s' if expected['crops'] == 'ten' else ''}"
    return f"{errors} ± {within} on {expected['split']}, {crops}"


def _differences(one: Recipe, other: Recipe) -> list[dict[str, Any]]:
    return [{"path": path, "one": left, "other": right} for path, (left, right) in differences(one, other).items()]


def _sentence(one: Recipe, other: Recipe) -> str:
    found = differences(one, other)
    if not found:
        return f"{other.name} is like {one.name}, field by field."
    values = {path: shown(value) for path, (_, value) in found.items()}
    spelled = [f"{path} is {f'({v})' if ',' in v else v}" for path, v in values.items()][:SPELLED_OUT]
    more = len(found) - len(spelled)
    rest = [f"{more} more field{'s' if more > 1 else ''} differ{'' if more > 1 else 's'}"] if more else []
    *first, last = [*spelled, *rest]
    return f"{other.name} is like {one.name}, but {', '.join(first)}{' and ' if first else ''}{last}."


def _print_differences(one: Recipe, other: Recipe) -> None:
    rows = [[path, shown(left), shown(right)] for path, (left, right) in differences(one, other).items()]
    if rows:
        print_table("Fields that differ", ("field", one.name, other.name), rows)
