"""What a command works on when the user names nothing: it chooses, and says what it chose on stderr."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alexrepro.errors import Exit, Refusal
from alexrepro.progress import say
from alexrepro.recipes.catalogue import default_recipe, find_recipe
from alexrepro.recipes.recipe import Recipe, parse_changes

if TYPE_CHECKING:
    from alexrepro.data.store import Store
    from alexrepro.engine.run import Run


def choose_recipe(
    name: str | None, *, dataset: str, changes: Sequence[str], epochs: int | None, batch: int | None
) -> Recipe:
    """The named recipe, or the one for the data set, with the changes of --set, --epochs and --batch."""
    recipe = find_recipe(name) if name else default_recipe(dataset)
    if not name:
        say(f"Recipe: {recipe.name}, the one for {dataset}.")
    recipe = recipe.but(parse_changes(changes))
    if batch is not None:
        recipe = recipe.but({"training.batch": batch})
    if epochs is not None and epochs != recipe.training.epochs:
        say(f"The schedule of {recipe.training.epochs} epochs is squeezed into {epochs}.")
        recipe = recipe.shortened(epochs)
    return recipe


def training_store(path: Path | None, *, stores: Path) -> "Store":
    """The store at the path, or the newest training store of the data set of that name, or of any."""
    from alexrepro.data.store import Store, newest_store

    if path is not None and path.is_dir():
        return Store.open(path)
    store = newest_store(stores, split="train", dataset=str(path) if path else None)
    say(f"Store: {store.path}.")
    return store


def validation_store(train: "Store", *, stores: Path) -> "Store | None":
    """The newest validation store of the same data set and classes, beside the training store or below `stores`."""
    from alexrepro.data.store import find_stores

    for folder in dict.fromkeys((train.path.parent, stores)):
        for store in find_stores(folder):
            manifest = store.manifest
            same = manifest.dataset == train.manifest.dataset and manifest.classes == train.manifest.classes
            if same and manifest.split == "val" and manifest.labelled:
                say(f"Validation: {store.path}.")
                return store
    say("Validation: none; there is no validation store of this data set.")
    return None


def testing_store(path: Path | None, *, run: "Run", stores: Path) -> "Store":
    """The store at the path, or the newest labelled test split of the run's data set, or else its validation split."""
    from alexrepro.data.store import Store, find_stores

    if path is not None and path.is_dir():
        return Store.open(path)
    environment = run.environment
    dataset = str(path) if path else environment["dataset"]
    found = {
        store.manifest.split: store
        for store in reversed(find_stores(stores))
        if store.manifest.dataset == dataset
        and list(store.manifest.classes) == environment["classes"]
        and store.manifest.labelled
    }
    for split in ("test", "val"):
        if split in found:
            say(f"Store: {found[split].path}.")
            return found[split]
    raise Refusal(
        f"There is no labelled test or validation store of {dataset} under {stores}.",
        fix="Prepare it with: alexrepro prepare SOURCE, or name one with --store.",
        exit_code=Exit.MISSING_INPUT,
    )


def choose_run(path: Path | None, *, runs: Path) -> "Run":
    """The run in the folder, or the one with the newest checkpoint."""
    from alexrepro.engine.run import find_runs, open_run

    if path is not None:
        return open_run(path)
    found = find_runs(runs)
    if not found:
        raise Refusal(
            f"There is no run under {runs}.", fix="Train one with: alexrepro train.", exit_code=Exit.MISSING_INPUT
        )
    say(f"Run: {found[0].folder}.")
    return found[0]
