"""The store that a command works on: the one that --store names, or the newest that fits, which is then printed."""

from pathlib import Path
from typing import TYPE_CHECKING

from alexrepro.cli.labeled_stores import LABELS, form_of, labeled_store, newest_labeled
from alexrepro.cli.options import STORES
from alexrepro.data.store.manifest import MANIFEST
from alexrepro.progress import say

if TYPE_CHECKING:
    from alexrepro.data.store.store import Store
    from alexrepro.runs.run import Run


def split_name(named: Path | None) -> tuple[Path, str | None]:
    """The folder of stores and the data set that --store names: FOLDER, FOLDER/NAME, or NAME for one in stores/."""
    if named is None:
        return STORES, None
    if len(named.parts) == 1 and str(named) != ".":
        return (named, None) if list(named.glob(f"*/{MANIFEST}")) else (STORES, str(named))
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
    found = newest_labeled(folder, manifest.dataset, manifest.classes, ("val",), form=form_of(train))
    if found is None:
        bare = newest_labeled(folder, manifest.dataset, manifest.classes, ("val",), labeled=False)
        why = (
            f"the validation store {bare.path} has no labels. {LABELS}" if bare else "this data set has no such store."
        )
    elif form_of(found) != form_of(train):
        why, found = f"the images of {found.path} have another size than those of {train.path}.", None
    say(f"Validation: {found.path}." if found else f"Validation: none; {why}")
    return found


def _opened(named: Path | None) -> "Store | None":
    from alexrepro.data.store.store import Store

    return Store.open(named) if named is not None and (named / MANIFEST).is_file() else None


def _newest_of_split(named: Path | None, split: str, word: str, default: str | None = None) -> "Store":
    from alexrepro.data.store.store import newest_store

    folder, dataset = split_name(named)
    store = newest_store(folder, split=split, dataset=dataset or default)
    say(f"{word}: {store.path}.")
    return store
