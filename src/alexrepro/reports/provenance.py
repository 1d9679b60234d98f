"""Where a run comes from, for people: its recipe as a sentence, seed, versions, stores, machine, state, command."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alexrepro.recipes.catalog import catalog
from alexrepro.recipes.ledger import shown
from alexrepro.recipes.recipe import Recipe, differences
from alexrepro.runs.run import Run

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
    starts = environment.get("starts") or [environment]
    facts = {
        "seed": environment.get("seed"),
        "alexrepro": _over(starts, "alexrepro"),
        "commit": _over(starts, "commit"),
        "torch": _over(starts, "machine", "torch"),
        "device": _over(starts, "machine", "device"),
        "data set": environment.get("dataset"),
        "training store": (environment.get("stores") or {}).get("train"),
        "validation store": _over(starts, "stores", "validation"),
        "began with": _origin(run),
        "started": environment.get("started"),
        "finished": (run.result or {}).get("finished"),
    }
    return Provenance(
        folder=str(run.folder), sentence=sentence(recipe), state=_state(run), command=_command(run),
        facts={name: str(value) for name, value in facts.items() if value is not None},
    )  # fmt: skip


def _over(starts: Sequence[Mapping[str, Any]], *path: str) -> str | None:
    """A fact of the first start, and of later ones that differ from the one before: `cpu; H200 after update 6,000`."""
    found: list[str] = []
    before = None
    for start in starts:
        value: Any = start
        for name in path:
            value = (value or {}).get(name)
        if value != before:
            step = start.get("after_step", 0)
            found.append(f"{value or 'none'} after update {step:,}" if step else str(value))
            before = value
    return "; ".join(found) or None


def _origin(run: Run) -> str | None:
    """The run that this one took its first weights from, or that it continues."""
    began = run.environment.get("began_with")
    if not began:
        return None
    taken = "all of its state" if run.recipe.training.continues else ", ".join(run.recipe.training.init_from_stages)
    return f"{began['run']}, update {began['step']:,}: {taken}"


def sentence(recipe: Recipe) -> str:
    """The recipe as what it is like and what was changed: `like tiny, but training.epochs 30 → 3`."""
    base = _like(recipe).for_classes(recipe.network.classes)
    changes = list(dict.fromkeys(_change(recipe, path, *pair) for path, pair in differences(base, recipe).items()))
    if not changes:
        return f"{base.name}-{base.digest}, as in the catalog"
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
    """The catalog's recipe of the same name, or of that before the +, or the paper's text."""
    for name in (recipe.name, recipe.name.partition("+")[0]):
        if name in catalog():
            return catalog()[name].recipe
    return Recipe()


def _state(run: Run) -> str:
    if run.result is not None:
        return "complete"
    newest = next(run.newest_metrics, None)
    return f"epoch {newest['epoch']} of {run.recipe.training.epochs}" if newest else "begun"


def _command(run: Run) -> str:
    environment, recipe = run.environment, run.recipe
    classes = recipe.network.classes
    is_known = recipe.name in catalog() and catalog()[recipe.name].recipe.for_classes(classes).digest == recipe.digest
    name = recipe.name if is_known else str(run.recipe_file)
    words = ["alexrepro", "train", name, "--store", environment.get("dataset"), "--seed", environment.get("seed")]
    return shlex.join(str(word) for word in words)
