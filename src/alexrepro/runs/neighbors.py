"""What figures read of a run: its curves, its kernels, and the neighbors that `features` found. Needs no torch.

The neighbors are kept as <run>/neighbors.safetensors, whose metadata holds what is not a number.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from alexrepro.files import write_whole
from alexrepro.progress import say
from alexrepro.runs.paths import MODEL, newest_checkpoints
from alexrepro.runs.run import Run

ABOUT = "about"


@dataclass(frozen=True)
class About:
    """Where the pictures of Figure 4 come from; rows are those of the stores.

    class_names: by label. names: of the shown test images, then of the queries. neighbor_names: of each query's
    neighbors, the nearest first.
    """

    epochs: int
    stage: str
    test_store: str
    train_store: str
    searched: int
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    neighbor_names: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Neighbors:
    """What Figure 4 shows. G = 5, N neighbors; images are uint8 (..., 256, 256, 3).

    images, labels: of the shown test images. top5: (8, G) classes, the most probable first; probabilities: (8, G)
    theirs. queries: the five test images. neighbors: (5, N, ...) training images; distances: (5, N).
    """

    about: About
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    top5: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    queries: NDArray[np.uint8]
    query_labels: NDArray[np.int64]
    neighbors: NDArray[np.uint8]
    neighbor_labels: NDArray[np.int64]
    distances: NDArray[np.float32]


TENSORS = tuple(name for name in Neighbors.__dataclass_fields__ if name != ABOUT)


def kernels(run: Run, stage: str) -> NDArray[np.float32] | None:
    """The weights of a stage in the newest checkpoint that can be read, (maps, C, H, W); None where there is none."""
    for folder in newest_checkpoints(run.checkpoints):
        try:
            with safe_open(folder / MODEL, framework="numpy") as tensors:
                found: NDArray[np.float32] = tensors.get_tensor(f"{stage}.weight")
            return found
        except (OSError, SafetensorError):  # a run in progress removes old checkpoints; damaged ones are skipped
            continue
    return None


def save_neighbors(run: Run, found: Neighbors) -> Path:
    """Write what Figure 4 shows, whole or not at all."""
    path = run.neighbors_file
    tensors = {name: np.ascontiguousarray(getattr(found, name)) for name in TENSORS}
    about = {ABOUT: json.dumps(asdict(found.about))}
    write_whole(path, lambda partial: save_file(tensors, partial, metadata=about))
    return path


def load_neighbors(run: Run) -> Neighbors | None:
    """What Figure 4 shows of a run; None where `features` was not run, or its file is damaged, saying so."""
    path = run.neighbors_file
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads(file.metadata()[ABOUT])
        for name in ("class_names", "names"):
            facts[name] = tuple(facts[name])
        facts["neighbor_names"] = tuple(tuple(names) for names in facts["neighbor_names"])
        return Neighbors(About(**facts), **load_file(path))
    except (SafetensorError, ValueError, KeyError, TypeError):
        say(f"Skipped: {path} is damaged; write it again with: alexrepro features {run.folder}")
        return None
