"""The store that a command works on: the one that --store names, or the newest that fits; it is printed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alexrepro.cli.options import split_name
from alexrepro.data.store.manifest import MANIFEST
from alexrepro.errors import Exit, UserError
from alexrepro.files import listed
from alexrepro.progress import say
from alexrepro.recipes.recipe import Recipe

if TYPE_CHECKING:
    from alexrepro.data.store.store import Store
    from alexrepro.runs.run import Run


def store_of(split: str, named: Path | None, *, dataset: str | None = None) -> "Store":
    """The named store, or the newest store of the split in the named folder, of the named data set or of this one."""
    from alexrepro.data.store.store import newest_store

    folder, name = split_name(named)
    store = _opened(named) or newest_store(folder, split=split, dataset=name or dataset)
    say(f"{'Store' if split == 'train' else 'Test'}: {store.path}.")
    return store


def evaluation_store(named: Path | None, run: "Run") -> "Store":
    """The named store, or the newest labeled test or validation store of the run's data set."""
    folder, name = split_name(named)
    dataset, classes = name or run.environment["dataset"], run.environment["classes"]
    return _opened(named) or labeled_store(dataset, run.recipe, classes=classes, folder=folder)


def labeled_store(dataset: str, recipe: Recipe, *, classes: Sequence[str], folder: Path) -> "Store":
    """The newest labeled test or else validation store of a data set, or of a split of it such as ilsvrc2010-val.

    Raises UserError if none has images of the recipe's size.
    """
    images = recipe.augmentation
    names = (f"{dataset}-test", f"{dataset}-val", dataset)
    found, bare, advice = _newest_labeled(listed(folder), names, classes, (images.stored_px, images.resize))
    if found is not None:
        say(f"Test: {found.path}.")
        return found
    raise UserError(
        f"{bare.path} has no labels, and there is no other test or validation store of {dataset}." if bare else
        f"There is no labeled test or validation store of {dataset} with images of {images.stored_px} px in {folder}.",
        fix=advice or "Prepare it with: alexrepro prepare SOURCE, or name one with --store.",
        exit_code=Exit.MISSING_INPUT,
    )  # fmt: skip


def validation_store(train: "Store") -> "Store | None":
    """The newest labeled validation store of the training store's data set and image size, next to it."""
    about, names = train.manifest, (f"{train.manifest.dataset}-val",)
    found, bare, advice = _newest_labeled(train.path.parent, names, about.classes, (about.side_px, about.resize))
    why = f"the validation store {bare.path} has no labels. {advice}" if bare else "there is none with such images."
    say(f"Validation: {found.path}." if found else f"Validation: none; {why}")
    return found


def _newest_labeled(
    folder: Path, names: Sequence[str], classes: Sequence[str], form: tuple[int, str]
) -> "tuple[Store | None, Store | None, str]":
    """Of the first split that has one: the newest labeled store of this form, an unlabeled one, and what labels it."""
    from alexrepro.data.store.store import find_stores

    found = [store for store in find_stores(folder) if list(store.manifest.classes) == list(classes)]
    named = [s for name in names for s in found if f"{s.manifest.dataset}-{s.manifest.split}" == name]
    labeled = (s for s in named if s.manifest.labeled and (s.side_px, s.manifest.resize) == form)
    bare = next((s for s in reversed(named) if not s.manifest.labeled), None)
    return next(labeled, None), bare, bare.manifest.labeling if bare else ""


def _opened(named: Path | None) -> "Store | None":
    from alexrepro.data.store.store import Store

    return Store.open(named) if named is not None and (named / MANIFEST).is_file() else None
