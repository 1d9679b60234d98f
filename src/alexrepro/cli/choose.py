"""What a command works on when the user names nothing: it chooses, and says what it chose on stderr."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alexrepro.engine.schedule import described
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
        whole = recipe.training.epochs
        recipe = recipe.shortened(epochs)
        how = "squeezed into" if epochs < whole else "stretched to"
        say(f"The schedule of {whole} epochs is {how} {epochs} ({described(recipe.training, recipe.network.stages)}).")
    return recipe


def training_store(path: Path | None, *, stores: Path) -> "Store":
    """The store at the path, or the newest training store of the data set of that name, or of any."""
    from alexrepro.data.store import Store, newest_store

    if path is not None and is_folder(path):
        return Store.open(path)
    store = newest_store(stores, split="train", dataset=str(path) if path else None)
    say(f"Store: {store.path}.")
    return store


def is_folder(store: Path) -> bool:
    """Whether --store is a folder. A bare name is a data set's, even where its photos lie in a folder of that name."""
    return store.is_dir() and (len(store.parts) > 1 or (store / "manifest.json").is_file())


def validation_store(train: "Store", *, stores: Path) -> "Store | None":
    """The newest validation store of the training store's data set, beside it or below `stores`."""
    manifest = train.manifest
    found = labelled_splits(manifest.dataset, classes=manifest.classes, stores=(train.path.parent, stores)).get("val")
    say(f"Validation: {found.path}." if found else "Validation: none; there is no validation store of this data set.")
    return found


def testing_store(dataset: str, *, classes: Sequence[str], stores: Sequence[Path]) -> "Store":
    """The newest labelled test store of a data set, or else its validation store; raises Refusal if it has neither.

    dataset: its name, or that of one of its splits, such as `ilsvrc2010-val`.
    """
    found = labelled_splits(dataset, classes=classes, stores=stores)
    if not found:
        whole, _, name = dataset.rpartition("-")
        splits = labelled_splits(whole, classes=classes, stores=stores)
        found = {split: store for split, store in splits.items() if split == name}
    for split in ("test", "val"):
        if split in found:
            say(f"Test: {found[split].path}.")
            return found[split]
    raise Refusal(
        f"There is no labelled test or validation store of {dataset} under {', '.join(map(str, stores))}.",
        fix="Prepare it with: alexrepro prepare SOURCE, or name one with --store.",
        exit_code=Exit.MISSING_INPUT,
    )


def labelled_splits(dataset: str, *, classes: Sequence[str], stores: Sequence[Path]) -> "dict[str, Store]":
    """The newest labelled store of each split of a data set, in the first of the folders that has one."""
    from alexrepro.data.store import find_stores

    found: dict[str, Store] = {}
    for folder in dict.fromkeys(stores):
        for store in find_stores(folder):  # newest first
            manifest = store.manifest
            if manifest.dataset == dataset and list(manifest.classes) == list(classes) and manifest.labelled:
                found.setdefault(manifest.split, store)
    return found


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
