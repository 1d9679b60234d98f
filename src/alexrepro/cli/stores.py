"""The store that a command works on: the one that --store names, or the newest that fits, which is then printed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alexrepro.cli.options import STORES
from alexrepro.errors import Exit, UserError
from alexrepro.paper.training import Augmentation
from alexrepro.progress import say
from alexrepro.recipes.recipe import Recipe

if TYPE_CHECKING:
    from alexrepro.data.store.store import Store
    from alexrepro.runs.run import Run

# Files that label the validation images of ILSVRC, and where they belong.
LABELS = "Put the devkit, LOC_val_solution.csv or val.txt next to the images, and prepare them again."


def split_name(named: Path | None) -> tuple[Path, str | None]:
    """The folder of stores and the data set that --store names: FOLDER, FOLDER/NAME, or NAME for one in stores/."""
    if named is None:
        return STORES, None
    if len(named.parts) == 1 and str(named) != ".":
        return (named, None) if list(named.glob("*/manifest.json")) else (STORES, str(named))
    return (named, None) if named.is_dir() else (named.parent, named.name)


def training_store(named: Path | None) -> "Store":
    """The named store, or the newest training store of the named folder and data set."""
    return _opened(named) or _newest_of_split(named, "train", "Store")


def submission_store(named: Path | None, run: "Run") -> "Store":
    """The named store, or the newest test store of the run's data set, labeled or not."""
    return _opened(named) or _newest_of_split(named, "test", "Test", run.environment["dataset"])


def evaluation_store(named: Path | None, run: "Run") -> "Store":
    """The named store, or the newest labeled test or validation store of the run's data set."""
    folder, dataset = split_name(named)
    found, begun = _opened(named), run.environment
    return found or labeled_store(dataset or begun["dataset"], run.recipe, classes=begun["classes"], folder=folder)


def validation_store(train: "Store") -> "Store | None":
    """The newest labeled validation store of the training store's data set and image size, next to it."""
    manifest, folder = train.manifest, train.path.parent
    found = _newest(folder, manifest.dataset, manifest.classes, ("val",), form=form_of(train))
    if found is None:
        bare = _newest(folder, manifest.dataset, manifest.classes, ("val",), labeled=False)
        why = (
            f"the validation store {bare.path} has no labels. {LABELS}" if bare else "this data set has no such store."
        )
    elif form_of(found) != form_of(train):
        why, found = f"the images of {found.path} have another size than those of {train.path}.", None
    say(f"Validation: {found.path}." if found else f"Validation: none; {why}")
    return found


def labeled_store(dataset: str, recipe: Recipe, *, classes: Sequence[str], folder: Path) -> "Store":
    """The newest labeled test store of a data set, or else its validation store; raises UserError if it has neither.

    dataset: its name, or that of one of its splits, such as `ilsvrc2010-val`. Stores that fit the recipe come first.
    """
    full, _, split = dataset.rpartition("-")
    form = form_of(recipe.augmentation)
    found = _newest(folder, dataset, classes, ("test", "val"), form=form)
    found = found or _newest(folder, full, classes, [name for name in ("test", "val") if name == split], form=form)
    if found is not None:
        say(f"Test: {found.path}.")
        return found
    bare = _newest(folder, dataset, classes, ("val", "test"), labeled=False)
    raise UserError(
        f"{bare.path} has no labels, and there is no other test or validation store of {dataset}." if bare else
        f"There is no labeled test or validation store of {dataset} in {folder}.",
        fix=LABELS if bare else "Prepare it with: alexrepro prepare SOURCE, or name one with --store.",
        exit_code=Exit.MISSING_INPUT,
    )  # fmt: skip


def form_of(source: "Store | Augmentation") -> tuple[int, str]:
    """The side and the resize rule of the images that a store holds, or that a recipe takes."""
    if isinstance(source, Augmentation):
        return source.stored_px, source.resize
    return source.manifest.side_px, source.manifest.resize


def _opened(named: Path | None) -> "Store | None":
    from alexrepro.data.store.store import Store

    return Store.open(named) if named is not None and (named / "manifest.json").is_file() else None


def _newest_of_split(named: Path | None, split: str, word: str, default: str | None = None) -> "Store":
    from alexrepro.data.store.store import newest_store

    folder, dataset = split_name(named)
    store = newest_store(folder, split=split, dataset=dataset or default)
    say(f"{word}: {store.path}.")
    return store


def _newest(
    folder: Path, dataset: str, classes: Sequence[str], splits: Sequence[str], *,
    form: tuple[int, str] | None = None, labeled: bool = True,
) -> "Store | None":  # fmt: skip
    """The newest store of the first of the splits that has one; stores with images of this form come first."""
    from alexrepro.data.store.store import find_stores

    fits = [store for store in find_stores(folder) if store.manifest.dataset == dataset
            and list(store.manifest.classes) == list(classes) and store.manifest.labeled == labeled]  # fmt: skip
    for split in splits:
        of_split = [store for store in fits if store.manifest.split == split]
        if of_split:
            return min(of_split, key=lambda store: form is not None and form_of(store) != form)
    return None
