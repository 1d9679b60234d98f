"""Checkpoints: weights and velocities as safetensors, the step as JSON, with checksums, written whole or not at all.

Every random draw is keyed by the step, so these three files are all that an exact continuation needs.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from alexrepro.files import read_json, sha256_of_file, sync, write_json
from alexrepro.progress import say

KEPT = 2  # a damaged newest checkpoint still leaves one to continue from

MODEL, MOMENTUM, STATE = "model.safetensors", "momentum.safetensors", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """All state after a number of updates: weights and velocities by `<stage>.weight` and `<stage>.bias`."""

    step: int
    weights: Mapping[str, Tensor]
    velocities: Mapping[str, Tensor]


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint below the folder and remove all but the newest ones."""
    final = folder / f"step-{checkpoint.step:09d}"
    partial = folder / f".{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, tensors in ((MODEL, checkpoint.weights), (MOMENTUM, checkpoint.velocities)):
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, partial / name)
        sync(partial / name)
    digests = {name: sha256_of_file(partial / name) for name in (MODEL, MOMENTUM)}
    write_json(partial / STATE, {"step": checkpoint.step, "sha256": digests})
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    sync(folder)
    for old in _saved(folder)[KEPT:]:
        shutil.rmtree(old)
    return final


def newest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint whose checksums hold; a damaged one is set aside under another name, saying so."""
    for path in _saved(folder):
        try:
            return _read(path)
        except (OSError, ValueError, KeyError) as error:
            path.rename(path.with_name(f"damaged-{path.name}"))
            say(f"Checkpoint {path} is damaged ({error}); it was renamed, and the one before it is used.")
    return None


def _saved(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)


def _read(path: Path) -> Checkpoint:
    state = read_json(path / STATE)
    for name, digest in state["sha256"].items():
        if sha256_of_file(path / name) != digest:
            raise ValueError(f"{name} does not have its checksum")
    return Checkpoint(state["step"], load_file(path / MODEL), load_file(path / MOMENTUM))
