"""What `import alexrepro` gives: recipes, networks, trained runs, stores and tables, for notebooks and scripts.

Paths are `str` or `Path`. The six digits at the end of a folder's name may be left out where one folder fits, so
`runs/tiny` finds `runs/tiny-93c8eb`. What goes wrong raises `UserError`, whose text says what to do.
"""

from collections.abc import Sequence
from functools import cached_property
from glob import escape
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from alexrepro.data.store.statistics import ColorAxes
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError, find_named
from alexrepro.evaluation.evaluate import evaluate, evaluate_weights
from alexrepro.evaluation.inference import device_for
from alexrepro.evaluation.predict import mean_image_of, open_weights, predict, rows_of
from alexrepro.files import reading
from alexrepro.model.alexnet import AlexNet
from alexrepro.model.alexnet import build as build_network
from alexrepro.model.weights import Weights
from alexrepro.paper.results import Crops
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import Recipe
from alexrepro.reports.experiments import Evidence, find, gather, table_of
from alexrepro.reports.tables.evaluations import evaluation_table
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.paths import ENVIRONMENT
from alexrepro.runs.run import Run, open_run

__all__ = [
    "AlexNet", "Evaluation", "Recipe", "StoredImages", "Trained", "UserError", "build", "evaluations", "load",
    "open_store", "recipe", "report",
]  # fmt: skip
DIGEST = 6 * "[0-9a-f]"  # of a recipe or of a store, in the names of folders


class StoredImages(Dataset[tuple[Tensor, int]]):
    """The images of a store as a torch dataset: `images[row]` is an image, uint8 (3, 256, 256) RGB, and its label.

    A label is the number of a class in `classes`, or -1 in a split without labels.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __len__(self) -> int:
        """Images in the store."""
        return len(self._store)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        """An image, uint8 (3, 256, 256) RGB, and its label. Raises UserError if it is damaged."""
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self):,} images")
        row %= len(self)
        return torch.tensor(self._store.pixels(row)).permute(2, 0, 1), int(self.labels[row])  # raw ones are read-only

    @property
    def path(self) -> Path:
        """The folder of the store."""
        return self._store.path

    @property
    def split(self) -> str:
        """Data set and split, such as `ilsvrc2012-val`."""
        return self._store.manifest.full_name

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class."""
        return self._store.manifest.class_names

    @property
    def wnids(self) -> tuple[str, ...]:
        """The WordNet ID of each class, or the name of its folder."""
        return self._store.manifest.classes

    @property
    def labels(self) -> NDArray[np.int64]:
        """The label of each image, (N,)."""
        return self._store.labels

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The source file of each image."""
        return tuple(map(self._store.name, range(len(self))))

    @property
    def mean_image(self) -> Tensor:
        """The mean of all training images, float32 (3, 256, 256), 0-255 (§2). Raises UserError for other splits."""
        return torch.from_numpy(self._store.mean_image())

    @property
    def color_axes(self) -> ColorAxes:
        """The principal components of RGB over all training pixels (§4.1). Raises UserError for other splits.

        `mean_rgb` (3,), 0-255; `eigenvalues` (3,), variances of pixels on the scale 0-1; `eigenvectors` (3, 3), one per
        column.
        """
        return self._store.color_axes()


class Trained:
    """A trained network: the newest checkpoint of a run, or weights from a file."""

    def __init__(self, path: Path, weights: Weights, run: Run | None) -> None:
        self._path, self._weights, self._run = path, weights, run

    @property
    def recipe(self) -> Recipe:
        """The recipe of the training, or the one that describes a file's network."""
        return self._weights.recipe

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each output, or its number where no name is known."""
        return self._weights.classes or tuple(map(str, range(self.recipe.network.classes)))

    @property
    def mean_image(self) -> Tensor:
        """What is subtracted from images, float32 (3, 256, 256) RGB, 0-255. Raises UserError if it is not known."""
        return mean_image_of(self._weights)

    @cached_property
    def network(self) -> AlexNet:
        """The network on the CPU: crops minus the mean, float32 (B, 3, 224, 224), in; logits (B, K) out."""
        return self._weights.network().eval()

    def predict(self, files: str | Path | Sequence[str | Path], *, crops: Crops = "center") -> pd.DataFrame:
        """The five most probable classes of image files, a row for each, as in `predicted.csv`.

        Columns: `weights`, `crops`, `file`, `rank` from 1, `number` of the output, `name`, `probability`. On
        a GPU if there is one. Raises UserError if a file cannot be read, or if the mean image is not known.
        """
        paths = [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]
        device = _device(len(paths), crops)
        found = predict(self._weights, paths, crops=crops, device=device)
        pairs = zip(paths, found, strict=True)
        return pd.DataFrame([row for path, top5 in pairs for row in rows_of(self._path, crops, path, top5)])

    def evaluate(self, store: str | Path | StoredImages, *, crops: Crops = "center") -> Evaluation:
        """Exact top-1 and top-5 errors on a labeled store, with the center crop or ten crops (§4.1).

        For a run, counts and predictions are saved in its folder, as `alexrepro evaluate` does, where `evaluations` and
        `report` find them. On a GPU if there is one. Raises UserError if the store has no labels or other classes.
        """
        images = (store if isinstance(store, StoredImages) else open_store(store))._store
        device = _device(len(images), crops)
        if self._run is None:
            return evaluate_weights(self._weights, images, crops=crops, device=device, path=self._path)
        return evaluate(self._run, images, crops=crops, device=device)

    def metrics(self) -> pd.DataFrame:
        """One row per step of the run: its `metrics.csv`. Raises UserError for weights from a file."""
        return self._of_run().metrics

    def validation(self) -> pd.DataFrame:
        """One row per validated epoch of the run: its `validation.csv`. Raises UserError for weights from a file."""
        return self._of_run().validations

    def _of_run(self) -> Run:
        if self._run is None:
            what = f"{self._path} is not the folder of a run, so it has no record of a training."
            raise UserError(what, fix="Load the run's folder: alexrepro.load('runs/...').")
        return self._run


def recipe(name: str | Path, **changes: Any) -> Recipe:
    """The recipe of this name, or in this TOML file, with some of its fields changed.

    changes: fields by their paths with `__` for the dot: `network__norm=None`, `training__learning_rate=0.02`; the
    fields are listed by `alexrepro recipes show NAME`. Raises UserError for an unknown name or field.
    """
    return find_recipe(str(name)).but({path.replace("__", "."): value for path, value in changes.items()})


def build(recipe: Recipe | str | Path, *, seed: int = 0) -> AlexNet:
    """The network of a recipe, or of the one of this name or file, with its initial weights (§5), float32 on the CPU.

    Raises UserError for an unknown name.
    """
    found = recipe if isinstance(recipe, Recipe) else find_recipe(str(recipe))
    return build_network(found.network, seed=seed)


def load(path: str | Path) -> Trained:
    """The trained network of a run's folder, of a checkpoint, or of a file of weights that `alexrepro convert` reads.

    The classes of a run are named by a store of its data set, in `stores/` or where the training found it. Raises
    UserError if there are no weights.
    """
    found = _found(path)
    is_run = (found / ENVIRONMENT).exists() or any(found.glob(f"*/{ENVIRONMENT}"))
    return Trained(found, open_weights(found, stores=Path("stores")), open_run(found) if is_run else None)


def open_store(path: str | Path) -> StoredImages:
    """The images of one split that `alexrepro prepare` wrote, such as `stores/ilsvrc2012-val`."""
    return StoredImages(Store.open(_found(path)))


def evaluations(runs: str | Path = "runs") -> pd.DataFrame:
    """Every evaluation below a folder of runs: a row for each run or ensemble, split and kind of crops.

    Errors are fractions, `low` and `high` the ends of their 95 % intervals.
    """
    evidence = _evidence(runs)
    return evaluation_table([*evidence.evaluations, *evidence.ensembles]).frame().dropna(subset="run")


def report(name: str, runs: str | Path = "runs") -> pd.DataFrame:
    """A table of the paper, or the numbers of a figure, as `alexrepro report NAME` writes them, from a folder of runs.

    name: such as `table-1`, `figure-1`, `ablations` or `claims`. Raises UserError for an unknown name.
    """
    return table_of(find(name), _evidence(runs)).frame()


def _device(images: int, crops: Crops) -> Device:
    kinds = {kind: kind for kind in get_args(Crops)}
    find_named(kinds, crops, kind="kind of crops", fix=f"Choose from {', '.join(kinds)}.")
    return device_for("auto", None, images=images, crops=crops)


def _evidence(runs: str | Path) -> Evidence:
    folder = Path(runs).expanduser()
    with reading(folder, kind="folder", fix="Name the folder of runs, such as runs, or train one: alexrepro train."):
        any(folder.iterdir())
    return gather(folder)


def _found(path: str | Path) -> Path:
    """The path, or the only folder that has this name and a digest. Raises UserError if several have it."""
    path = Path(path).expanduser()
    found = [] if path.exists() else sorted(path.parent.glob(f"{escape(path.name)}-{DIGEST}"))
    if len(found) > 1:
        raise UserError(
            f"{path} may be any of {', '.join(map(str, found))}.", fix="Name one of them.", exit_code=Exit.MISSING_INPUT
        )
    return found[0] if found else path
