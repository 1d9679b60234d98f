"""Where a run comes from, for people: its recipe as a sentence, seed, versions, stores, machine, state, command."""

import shlex
from dataclasses import dataclass
from typing import Any

from alexrepro.engine.run import Run
from alexrepro.recipes.catalogue import CATALOGUE
from alexrepro.recipes.ledger import shown
from alexrepro.recipes.recipe import Recipe, differences
from alexrepro.reports.curves import metrics

MOST_CHANGES, MOST_LETTERS = 6, 80  # in a sentence, and of one change in it


@dataclass(frozen=True)
class Provenance:
    """One run in words. state: `complete`, or how far it is. facts: what it was started with, by name."""

    folder: str
    sentence: str
    state: str
    command: str
    facts: dict[str, str]


def provenance(run: Run) -> Provenance:
    """What the files of a run say of it, finished or not."""
    environment, recipe = run.environment, run.recipe
    stores, machine = environment.get("stores") or {}, environment.get("machine") or {}
    facts = {
        "seed": environment.get("seed"),
        "alexrepro": environment.get("alexrepro"),
        "torch": machine.get("torch"),
        "device": machine.get("device"),
        "data set": environment.get("dataset"),
        "training store": stores.get("train"),
        "validation store": stores.get("validation"),
        "began with": (environment.get("began_with") or {}).get("run"),
        "started": environment.get("started"),
        "finished": (run.result or {}).get("finished"),
    }
    return Provenance(
        folder=str(run.folder), sentence=sentence(recipe), state=_state(run), command=_command(run),
        facts={name: str(value) for name, value in facts.items() if value is not None},
    )  # fmt: skip


def sentence(recipe: Recipe) -> str:
    """The recipe as what it is like and what was changed: `like tiny, but training.epochs 30 → 3`."""
    base = _like(recipe).for_classes(recipe.network.classes)
    changes = list(dict.fromkeys(_change(recipe, path, *pair) for path, pair in differences(base, recipe).items()))
    if not changes:
        return f"{base.name}-{base.digest}, as in the catalogue"
    more = f" and {len(changes) - MOST_CHANGES} more" if len(changes) > MOST_CHANGES else ""
    return f"like {base.name}, but {'; '.join(changes[:MOST_CHANGES])}{more}"


def _change(recipe: Recipe, path: str, was: Any, now: Any) -> str:
    """One change in words; a part that is gone is named as a whole, and a long value not at all."""
    part = path.rpartition(".")[0]
    if path not in recipe.fields() and not any(known.startswith(f"{part}.") for known in recipe.fields()):
        return f"without {part}"
    text = f"{path} {shown(was)} → {shown(now)}"
    return text if len(text) <= MOST_LETTERS else f"another {path}"


def _like(recipe: Recipe) -> Recipe:
    """The catalogue's recipe of the same name, or of that before the +, or the paper's text."""
    for name in (recipe.name, recipe.name.partition("+")[0]):
        if name in CATALOGUE:
            return CATALOGUE[name].recipe
    return Recipe()


def _state(run: Run) -> str:
    if run.result is not None:
        return "complete"
    updates = metrics(run)
    return f"epoch {int(updates['epoch'].iloc[-1])} of {run.recipe.training.epochs}" if len(updates) else "begun"


def _command(run: Run) -> str:
    environment, recipe = run.environment, run.recipe
    classes = recipe.network.classes
    is_known = recipe.name in CATALOGUE and CATALOGUE[recipe.name].recipe.for_classes(classes).digest == recipe.digest
    name = recipe.name if is_known else str(run.recipe_file)
    words = ["alexrepro", "train", name, "--store", environment.get("dataset"), "--seed", environment.get("seed")]
    return shlex.join(str(word) for word in words)
