"""The newest labeled stores of a data set; those whose images fit the recipe come first."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alexrepro.errors import Exit, UserError
from alexrepro.paper.training import Augmentation
from alexrepro.progress import say
from alexrepro.recipes.recipe import Recipe

if TYPE_CHECKING:
    from alexrepro.data.store.store import Store

# Files that label the validation images of ILSVRC, and where they belong.
LABELS = "Put the devkit, LOC_val_solution.csv or val.txt next to the images, and prepare them again."


def labeled_store(dataset: str, recipe: Recipe, *, classes: Sequence[str], folder: Path) -> "Store":
    """The newest labeled test store of a data set, or else its validation store; raises UserError if it has neither.

    dataset: its name, or that of one of its splits, such as `ilsvrc2010-val`. Stores that fit the recipe come first.
    """
    full, _, split = dataset.rpartition("-")
    form = form_of(recipe.augmentation)
    found = newest_labeled(folder, dataset, classes, ("test", "val"), form=form)
    if found is None and split in ("test", "val"):
        found = newest_labeled(folder, full, classes, (split,), form=form)
    if found is not None:
        say(f"Test: {found.path}.")
        return found
    bare = newest_labeled(folder, dataset, classes, ("val", "test"), labeled=False)
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


def newest_labeled(
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
