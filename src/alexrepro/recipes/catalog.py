"""The recipes by name: the paper's own, and those of catalog.toml, with the results they should reach."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alexrepro.errors import find_named
from alexrepro.paper.results import LATER_AUTHOR, LATER_WEIGHTS, LOGGED, QUOTED, Logged, Reported, release_of
from alexrepro.recipes.fields import changed
from alexrepro.recipes.recipe import Recipe, from_toml


@dataclass(frozen=True)
class Entry:
    """A named recipe, the one it is like, and the results that the 2012 logs or its own authors give for it."""

    recipe: Recipe
    like: str | None
    expected: tuple[Logged | Reported, ...] = ()


# Top-1 and top-5 by which one run may miss a logged error: about four binomial deviations on 50,000 images, and nearly
# identical runs of the logs differ by as much (judged from #169 to #174).
TOLERANCE = (0.005, 0.004)
CONFIGS = {"as-run-2012": "145", "as-run-2010": "145-2010"}  # the 2012 configuration of a recipe of another name
# Which recipe `train` takes when none is named, by the data set of the store; as-run-2012 for any other.
DEFAULT_RECIPES = {"cifar10": "cifar-18pct", "ilsvrc2010": "as-run-2010", "ilsvrc2010-miniature": "tiny"}
MAIN = (  # what `recipes list` shows without --all
    "as-printed", "as-run-2012", "as-run-2010", "tiny", "net-146-2012-2011", "cifar-18pct", "cifar-13pct",
    "cifar-11pct", "figure-1-relu", "figure-1-tanh", "caffe-2013", "one-weird-trick",
    "cuda-convnet2-1gpu",
)  # fmt: skip


@cache
def catalog() -> dict[str, Entry]:
    """Every named recipe; catalog.toml is read on the first call."""
    entries = {"as-printed": Entry(Recipe(), None)}
    tables = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    for name, table in tables.items():
        like = table.pop("base")
        entries[name] = Entry(changed(entries[like].recipe, {"name": name} | table), like, _expected(name))
    return entries


def find_recipe(name: str) -> Recipe:
    """The recipe of this name, or of this TOML file; raises UserError with the nearest name if there is none."""
    return from_toml(Path(name), find_base=_named) if name.endswith(".toml") else _named(name)


def default_recipe(dataset: str) -> Recipe:
    """The recipe that `train` takes for a data set when none is named."""
    return find_recipe(DEFAULT_RECIPES.get(release_of(dataset), "as-run-2012"))


def _expected(name: str) -> tuple[Logged | Reported, ...]:
    """Every logged result of the 2012 configuration, ten crops first; or the published one."""
    if published := (QUOTED | LATER_WEIGHTS).get(name):
        return (published,)
    if name == LATER_AUTHOR[0].name:
        return LATER_AUTHOR
    config = CONFIGS.get(name, name.removeprefix("net-"))
    logs = [entry for entry in LOGGED if entry.config == config and not entry.part]
    return tuple(sorted(logs, key=lambda entry: entry.crops != "ten"))


def _named(name: str) -> Recipe:
    return find_named(catalog(), name, kind="recipe", fix="List them with: alexrepro recipes list --all.").recipe


# What most of the program is about: the text of the paper, what was run, and a small network for tests.
AS_PRINTED, AS_RUN_2012, AS_RUN_2010, TINY = map(_named, ("as-printed", "as-run-2012", "as-run-2010", "tiny"))
