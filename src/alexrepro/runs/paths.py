"""The names of all files and folders below `runs/`, spelled here and nowhere else.

runs/<recipe>-<digest>/recipe.toml and <dataset>-seed-<n>/, the folder of a run; averages of runs have a folder each in
runs/ensembles/. What the files hold is described in docs/reference/run-folder.md.
"""

from dataclasses import dataclass
from pathlib import Path

from alexrepro.files import plain_name
from alexrepro.paper.results import Crops

ENVIRONMENT = "environment.json"
ENSEMBLES = "ensembles"
EVALUATIONS, PREDICTED = "evaluations.csv", "predicted.csv"  # tables of all evaluations, and of all images predicted
MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"  # of a checkpoint
DAMAGED = "damaged-"  # the beginning of the name of a checkpoint that is set aside
STEPS, STEP_DIGITS = "step-", 9
MOST_SPLIT_BYTES = 220  # of the 255 of a file system, as the crops and an ending are added


@dataclass(unsafe_hash=True)
class RunPaths:
    """The files of a run's folder; of an ensemble's, those that evaluation writes."""

    folder: Path

    def __post_init__(self) -> None:
        folder = self.folder
        self.recipe_file = folder.parent / "recipe.toml"  # a recipe as `train` takes it
        self.environment_file = folder / ENVIRONMENT  # what the run was started with, at every start
        self.pixels_file = folder / "pixels.safetensors"  # mean image and color axes, which evaluation needs too
        self.metrics_file = folder / "metrics.csv"  # one row per step
        self.validation_file = folder / "validation.csv"  # one row per validated epoch
        self.checkpoints = folder / "checkpoints"
        self.result_file = folder / "result.json"  # what the run reached, once it is complete
        self.neighbors_file = folder / "neighbors.safetensors"  # what Figure 4 shows of the run
        self.search_file = folder / ".neighbors.safetensors"  # the nearest ones so far, while they are searched
        self.neighbors_table = folder / "neighbors.csv"  # the same without the pixels
        self.tensorboard = folder / "tensorboard"
        self.lock_file = folder.parent / f".{folder.name}.lock"  # not within, since a folder may get another name

    @property
    def all_evaluations(self) -> list[Path]:
        """Every saved evaluation."""
        return sorted((self.folder / "evaluations").glob("*.json"))

    @property
    def all_predictions(self) -> dict[str, Path]:
        """Every file of predictions by `<split>.<crops>`."""
        return {path.stem: path for path in sorted((self.folder / "predictions").glob("*.parquet"))}

    def evaluation(self, split: str, crops: Crops) -> Path:
        """The counts on a split."""
        return self.folder / "evaluations" / f"{_plain(split)}.{crops}.json"

    def predictions(self, split: str, crops: Crops) -> Path:
        """The predictions for every image of a split."""
        return self.folder / "predictions" / f"{_plain(split)}.{crops}.parquet"

    def probabilities(self, split: str, crops: Crops) -> Path:
        """The probabilities of every class for every image of a split."""
        return self.folder / "probabilities" / f"{_plain(split)}.{crops}.safetensors"


def checkpoint_of(checkpoints: Path, step: int) -> Path:
    """The folder of the checkpoint of a step."""
    return checkpoints / f"{STEPS}{step:0{STEP_DIGITS}d}"


def step_of(checkpoint: Path) -> int:
    """The step in the name of a checkpoint."""
    return int(checkpoint.name.removeprefix(STEPS))


def newest_checkpoints(checkpoints: Path) -> list[Path]:
    """The checkpoints that are there, the newest first."""
    return sorted(checkpoints.glob(STEPS + STEP_DIGITS * "[0-9]"), reverse=True)


def partial_of(checkpoint: Path) -> Path:
    """The name of a checkpoint that is being written or removed."""
    return checkpoint.with_name(f".{checkpoint.name}.partial")


def _plain(split: str) -> str:
    return plain_name(split, of="A split", most_bytes=MOST_SPLIT_BYTES)
