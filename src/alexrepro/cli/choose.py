"""What a command works on when the user names nothing: it chooses, and says what it chose on stderr."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alexrepro.errors import Exit, UserError
from alexrepro.paper.training import Augmentation
from alexrepro.progress import say
from alexrepro.recipes.catalog import default_recipe, find_recipe
from alexrepro.recipes.recipe import Recipe, parse_changes
from alexrepro.training.schedule import described

if TYPE_CHECKING:
    from alexrepro.data.store.store import Store
    from alexrepro.runs.run import Run

# Files that give labels to the validation photos of ILSVRC, and where.
LABELS = "Put the devkit, LOC_val_solution.csv or val.txt beside the photos, and prepare them again."


def choose_recipe(
    name: str | None, *, dataset: str, changes: Sequence[str], epochs: int | None, batch: int | None,
    continued: "Run | None" = None,
) -> Recipe:  # fmt: skip
    """The named recipe, or the one for the data set, with the changes of --set, --epochs and --batch.

    continued: the run that a new one continues, whose recipe is then the default.
    """
    if continued is not None:
        name, changes = name or str(continued.recipe_file), [*changes, "training.continues=true"]
    recipe = find_recipe(name) if name else default_recipe(dataset)
    if not name:
        say(f"Recipe: {recipe.name}, the one for {dataset}.")
    changed = parse_changes(changes)
    for option, value in (("batch", batch), ("epochs", epochs)):
        if value is not None and f"training.{option}" in changed:
            raise UserError(f"--{option} and --set training.{option} do not go together.",
                          fix="Leave out one of them.", exit_code=Exit.USAGE)  # fmt: skip
    recipe = recipe.but(changed)
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
    from alexrepro.data.store.store import Store, newest_store

    if path is not None and is_folder(path):
        return Store.open(path)
    store = newest_store(stores, split="train", dataset=str(path) if path else None)
    say(f"Store: {store.path}.")
    return store


def is_folder(store: Path) -> bool:
    """Whether --store is a folder. A bare name is a data set's, even where its photos lie in a folder of that name."""
    return store.is_dir() and (len(store.parts) > 1 or (store / "manifest.json").is_file())


def validation_store(train: "Store", *, stores: Path) -> "Store | None":
    """The newest validation store of the training store's data set and form, beside it or below `stores`."""
    manifest, form = train.manifest, form_of(train)
    folders = (train.path.parent, stores)
    found = labeled_splits(manifest.dataset, classes=manifest.classes, stores=folders, form=form).get("val")
    if found is not None and form_of(found) != form:
        say(f"Validation: none; {found.path} has other squares than {train.path}.")
        return None
    if found:
        say(f"Validation: {found.path}.")
    elif bare := _unlabeled(manifest.dataset, manifest.classes, folders, ("val",)):
        say(f"Validation: none; the validation store {bare.path} has no labels. {LABELS}")
    else:
        say("Validation: none; there is no validation store of this data set.")
    return found


def form_of(source: "Store | Augmentation") -> tuple[int, str]:
    """The side and the rule of the squares that a store holds, or that a recipe takes."""
    if isinstance(source, Augmentation):
        return source.stored_px, source.square
    return source.manifest.side_px, source.manifest.square


def testing_store(dataset: str, recipe: Recipe, *, classes: Sequence[str], stores: Sequence[Path]) -> "Store":
    """The newest labeled test store of a data set, or else its validation store; raises UserError if it has neither.

    dataset: its name, or that of one of its splits, such as `ilsvrc2010-val`. Stores that fit the recipe come first.
    """
    form = form_of(recipe.augmentation)
    found = labeled_splits(dataset, classes=classes, stores=stores, form=form)
    if not found:
        whole, _, name = dataset.rpartition("-")
        splits = labeled_splits(whole, classes=classes, stores=stores, form=form)
        found = {split: store for split, store in splits.items() if split == name}
    for split in ("test", "val"):
        if split in found:
            say(f"Test: {found[split].path}.")
            return found[split]
    if bare := _unlabeled(dataset, classes, stores, ("val", "test")):
        split = "validation" if bare.manifest.split == "val" else "test"
        raise UserError(f"The {split} store {bare.path} has no labels, and there is no other of {dataset}.",
                      fix=LABELS, exit_code=Exit.MISSING_INPUT)  # fmt: skip
    raise UserError(
        f"There is no labeled test or validation store of {dataset} under {', '.join(map(str, stores))}.",
        fix="Prepare it with: alexrepro prepare SOURCE, or name one with --store.",
        exit_code=Exit.MISSING_INPUT,
    )


def evaluation_store(path: Path | None, run: "Run", *, stores: Path) -> "Store":
    """The store at the path, or else the labeled test or validation store of that data set, or of the run's."""
    from alexrepro.data.store.store import Store

    if path is not None and is_folder(path):
        return Store.open(path)
    environment = run.environment
    dataset = str(path) if path else environment["dataset"]
    return testing_store(dataset, run.recipe, classes=environment["classes"], stores=(stores,))


def submission_store(path: Path | None, run: "Run", *, stores: Path) -> "Store":
    """The store at the path, or else the newest test store of that data set or of the run's, labeled or not."""
    from alexrepro.data.store.store import Store, newest_store

    if path is not None and is_folder(path):
        return Store.open(path)
    return newest_store(stores, split="test", dataset=str(path) if path else run.environment["dataset"])


def _unlabeled(dataset: str, classes: Sequence[str], stores: Sequence[Path], splits: Sequence[str]) -> "Store | None":
    """The newest store without labels of the first of these splits that has one."""
    found = labeled_splits(dataset, classes=classes, stores=stores, labeled=False)
    return next((found[split] for split in splits if split in found), None)


def labeled_splits(
    dataset: str,
    *,
    classes: Sequence[str],
    stores: Sequence[Path],
    form: tuple[int, str] | None = None,
    labeled: bool = True,
) -> "dict[str, Store]":
    """The newest labeled store of each split of a data set, in the first of the folders that has one.

    Among those of a folder, stores with squares of this form come first. labeled: False for the stores without labels.
    """
    from alexrepro.data.store.store import find_stores

    found: dict[str, Store] = {}
    for folder in dict.fromkeys(stores):
        newest_first = find_stores(folder)
        for store in sorted(newest_first, key=lambda store: form is not None and form_of(store) != form):
            manifest = store.manifest
            is_of = manifest.dataset == dataset and list(manifest.classes) == list(classes)
            if is_of and manifest.labeled == labeled:
                found.setdefault(manifest.split, store)
    return found


def source_run(init_from: Path | None, continue_from: Path | None) -> "Run | None":
    """The run that another one begins with, if there is one. It may be gone: only a new run needs it."""
    from alexrepro.runs.run import Run, open_run

    if init_from and continue_from:
        raise UserError(
            "--init-from and --continue-from contradict each other.",
            fix="Give one of them: --init-from takes the weights of some stages, --continue-from all state.",
            exit_code=Exit.USAGE,
        )
    path = init_from or continue_from
    if path is None:
        return None
    try:
        return open_run(path)
    except UserError:
        return Run(path)


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
