"""A training job: what to train, on which images, where and how."""

from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path

from alexrepro.data.loading.sampling import batch_count
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.distributed.process_group import ProcessGroup
from alexrepro.evaluation.load_run import check_compatible
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.checkpoint import KEPT
from alexrepro.runs.run import Run, run_of


@dataclass(frozen=True)
class TrainingJob:
    """Everything that one training is given.

    store, validation: images to train and, where there are some, to validate on. runs: the folder of run folders.
    group: the processes that train together. source: the run that `training.init_from_stages` takes stages from, or
    that `training.continues` continues; only a new run needs it. keep: number of checkpoints kept.
    log: extra loggers, besides metrics.csv.
    """

    recipe: Recipe
    _: KW_ONLY
    store: Store
    validation: Store | None
    runs: Path
    seed: int
    device: Device
    group: ProcessGroup = field(default_factory=ProcessGroup)
    source: Run | None = None
    keep: int = KEPT
    log: tuple[str, ...] = ()
    allow_flat_loss: bool = False

    @property
    def run(self) -> Run:
        """The run folder of this job, whether or not it exists yet."""
        return run_of(self.runs, self.recipe, dataset=self.store.manifest.dataset, seed=self.seed)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch; the last batch may be smaller."""
        return batch_count(len(self.store), self.recipe.training.batch)

    def fitted(self) -> "TrainingJob":
        """The same job with as many classes as its store has. Raises UserError if the images do not fit the recipe."""
        for images in filter(None, (self.store, self.validation)):
            check_compatible(self.recipe, images)
        return replace(self, recipe=self.recipe.for_classes(len(self.store.manifest.classes)))
