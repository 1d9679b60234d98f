"""What a command works on when the user names nothing: it chooses, and says what it chose on stderr."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alexrepro.cli.options import STORES
from alexrepro.errors import Exit, UserError
from alexrepro.paper.training import Augmentation
from alexrepro.progress import say
from alexrepro.recipes.catalog import default_recipe, find_recipe
from alexrepro.recipes.recipe import Recipe, parse_changes

if TYPE_CHECKING:
    from alexrepro.data.store.store import Store
    from alexrepro.runs.run import Run

# Files that label the validation images of ILSVRC, and where they belong.
LABELS = "Put the devkit, LOC_val_solution.csv or val.txt next to the images, and prepare them again."


def choose_recipe(name: str | None, *, dataset: str, changes: Sequence[str], epochs: int | None = None) -> Recipe:
    """The named recipe, or the one for the data set, with the changes of --set and --epochs."""
    recipe = find_recipe(name) if name else default_recipe(dataset)
    if not name:
        say(f"Recipe: {recipe.name}, the default for {dataset}.")
    changed = parse_changes(changes)
    if epochs is not None and "training.epochs" in changed:
        raise UserError("--epochs and --set training.epochs were both given.", fix="Leave out one of them.",
                        exit_code=Exit.USAGE)  # fmt: skip
    recipe = recipe.but(changed)
    if epochs is None or epochs == recipe.training.epochs:
        return recipe
    full, recipe = recipe.training.epochs, recipe.shortened(epochs)
    how = "squeezed into" if epochs < full else "stretched to"
    rates = recipe.training.schedule.description(recipe.training, recipe.network.stages)
    say(f"The schedule of {full} epochs is {how} {epochs} ({rates}).")
    return recipe


def training_store(named: Path | None) -> "Store":
    """The store that --store names, or the newest training store: in a folder of stores, of a data set, or of any.

    named: a store, a folder of stores, the name of a data set, or FOLDER/NAME.
    """
    from alexrepro.data.store.store import Store, newest_store

    if named is not None and (named / "manifest.json").is_file():
        return Store.open(named)
    folder, dataset = split_name(named)
    store = newest_store(folder, split="train", dataset=dataset)
    say(f"Store: {store.path}.")
    return store


def split_name(named: Path | None) -> tuple[Path, str | None]:
    """The folder of stores and the data set that --store names; a bare name means a data set."""
    if named is None:
        return STORES, None
    if len(named.parts) == 1 and str(named) != ".":
        return (named, None) if list(named.glob("*/manifest.json")) else (STORES, str(named))
    return (named, None) if named.is_dir() else (named.parent, named.name)


def validation_store(train: "Store") -> "Store | None":
    """The newest labeled validation store of the training store's data set and image size, next to it."""
    manifest, form, folder = train.manifest, form_of(train), train.path.parent
    found = labeled_splits(manifest.dataset, classes=manifest.classes, folder=folder, form=form).get("val")
    if found is not None and form_of(found) != form:
        say(f"Validation: none; the images of {found.path} have another size than those of {train.path}.")
        return None
    if found:
        say(f"Validation: {found.path}.")
    elif bare := _unlabeled(manifest.dataset, manifest.classes, folder, ("val",)):
        say(f"Validation: none; the validation store {bare.path} has no labels. {LABELS}")
    else:
        say("Validation: none; there is no validation store of this data set.")
    return found


def form_of(source: "Store | Augmentation") -> tuple[int, str]:
    """The side and the resize rule of the images that a store holds, or that a recipe takes."""
    if isinstance(source, Augmentation):
        return source.stored_px, source.square
    return source.manifest.side_px, source.manifest.square


def testing_store(dataset: str, recipe: Recipe, *, classes: Sequence[str], folder: Path) -> "Store":
    """The newest labeled test store of a data set, or else its validation store; raises UserError if it has neither.

    dataset: its name, or that of one of its splits, such as `ilsvrc2010-val`. Stores that fit the recipe come first.
    """
    form = form_of(recipe.augmentation)
    found = labeled_splits(dataset, classes=classes, folder=folder, form=form)
    if not found:
        full, _, name = dataset.rpartition("-")
        splits = labeled_splits(full, classes=classes, folder=folder, form=form)
        found = {split: store for split, store in splits.items() if split == name}
    for split in ("test", "val"):
        if split in found:
            say(f"Test: {found[split].path}.")
            return found[split]
    if bare := _unlabeled(dataset, classes, folder, ("val", "test")):
        split = "validation" if bare.manifest.split == "val" else "test"
        raise UserError(f"The {split} store {bare.path} has no labels, and there is no other of {dataset}.",
                        fix=LABELS, exit_code=Exit.MISSING_INPUT)  # fmt: skip
    raise UserError(
        f"There is no labeled test or validation store of {dataset} in {folder}.",
        fix="Prepare it with: alexrepro prepare SOURCE, or name one with --store.",
        exit_code=Exit.MISSING_INPUT,
    )


def evaluation_store(named: Path | None, run: "Run") -> "Store":
    """The store that --store names, or the newest labeled test or validation store of the run's data set."""
    from alexrepro.data.store.store import Store

    if named is not None and (named / "manifest.json").is_file():
        return Store.open(named)
    folder, dataset = split_name(named)
    environment = run.environment
    return testing_store(dataset or environment["dataset"], run.recipe, classes=environment["classes"], folder=folder)


def submission_store(named: Path | None, run: "Run") -> "Store":
    """The store that --store names, or the newest test store of the run's data set, labeled or not."""
    from alexrepro.data.store.store import Store, newest_store

    if named is not None and (named / "manifest.json").is_file():
        return Store.open(named)
    folder, dataset = split_name(named)
    return newest_store(folder, split="test", dataset=dataset or run.environment["dataset"])


def _unlabeled(dataset: str, classes: Sequence[str], folder: Path, splits: Sequence[str]) -> "Store | None":
    """The newest store without labels of the first of these splits that has one."""
    found = labeled_splits(dataset, classes=classes, folder=folder, labeled=False)
    return next((found[split] for split in splits if split in found), None)


def labeled_splits(
    dataset: str, *, classes: Sequence[str], folder: Path, form: tuple[int, str] | None = None, labeled: bool = True
) -> "dict[str, Store]":
    """The newest labeled store of each split of a data set; stores with images of this form come first.

    labeled: False for the stores without labels.
    """
    from alexrepro.data.store.store import find_stores

    found: dict[str, Store] = {}
    for store in sorted(find_stores(folder), key=lambda store: form is not None and form_of(store) != form):
        manifest = store.manifest
        is_of = manifest.dataset == dataset and list(manifest.classes) == list(classes)
        if is_of and manifest.labeled == labeled:
            found.setdefault(manifest.split, store)
    return found


def choose_start(recipe: str | None, start: Path | None) -> "tuple[str | None, Run | None]":
    """The recipe's name or file, and the run that a new run starts from.

    A run given as `recipe` lends both. One given as `start` may be gone: only a new run needs it.
    """
    from alexrepro.runs.run import Run, open_run

    if recipe is not None and Path(recipe).is_dir():
        source = open_run(Path(recipe))
        return str(source.recipe_file), source
    if start is None:
        return recipe, None
    try:
        return recipe, open_run(start)
    except UserError:
        return recipe, Run(start)


def choose_run(path: Path | None, *, runs: Path) -> "Run":
    """The run in the folder, or the one with the newest checkpoint."""
    from alexrepro.runs.run import find_runs, open_run

    if path is not None:
        return open_run(path)
    found = find_runs(runs)
    if not found:
        raise UserError(
            f"There is no run under {runs}.", fix="Train one with: alexrepro train.", exit_code=Exit.MISSING_INPUT
        )
    say(f"Run: {found[0].folder}.")
    return found[0]


def choose_runs(paths: Sequence[Path] | None, *, runs: Path) -> "list[Run]":
    """The runs in the folders, or the one with the newest checkpoint."""
    return [choose_run(path, runs=runs) for path in paths] if paths else [choose_run(None, runs=runs)]
