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
MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"  # of a checkpoint
DAMAGED = "damaged-"  # the beginning of the name of a checkpoint that is set aside
STEPS, STEP_DIGITS = "step-", 9
MOST_SPLIT_BYTES = 220  # of the 255 of a file system, as the crops and an ending are added


@dataclass(frozen=True)
class RunPaths:
    """The files of a run's folder; of an ensemble's, those that evaluation writes."""

    folder: Path

    @property
    def recipe_file(self) -> Path:
        """The recipe as a file that `train` takes."""
        return self.folder.parent / "recipe.toml"

    @property
    def environment_file(self) -> Path:
        """What the run was started with, at every start."""
        return self.folder / ENVIRONMENT

    @property
    def pixels_file(self) -> Path:
        """Mean image and color axes of the training store, which evaluation needs too."""
        return self.folder / "pixels.safetensors"

    @property
    def metrics_file(self) -> Path:
        """One row per step."""
        return self.folder / "metrics.csv"

    @property
    def validation_file(self) -> Path:
        """One row per validated epoch."""
        return self.folder / "validation.csv"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def result_file(self) -> Path:
        """What the run reached, once it is complete."""
        return self.folder / "result.json"

    @property
    def neighbors_file(self) -> Path:
        """What Figure 4 shows of the run."""
        return self.folder / "neighbors.safetensors"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's event files."""
        return self.folder / "tensorboard"

    @property
    def lock_file(self) -> Path:
        """Held by the process that trains; it lies next to the folder, which may get another name."""
        return self.folder.with_name(f".{self.folder.name}.lock")

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
