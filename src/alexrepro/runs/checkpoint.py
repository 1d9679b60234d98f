"""Checkpoints: weights and optimizer state as safetensors, the step as JSON, with checksums, written atomically.

Every random draw is keyed by the step, so these three files are all that an exact continuation needs. What is begun or
half removed is called .step-<step>.partial; a damaged checkpoint is renamed to damaged-step-<step>.
"""

import errno
import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from alexrepro.errors import Exit, UserError
from alexrepro.files import json_text, make_folder, sync, write_bytes, write_json
from alexrepro.progress import say
from alexrepro.runs import paths
from alexrepro.runs.paths import MODEL, OPTIMIZER, STATE, newest_checkpoints, step_of

if TYPE_CHECKING:  # reports look for checkpoints without loading torch
    from torch import Tensor

CHECKPOINTS_KEPT = 2  # a damaged newest checkpoint still leaves one to continue from
LOST = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EIO)  # what damage causes; other errors may pass


@dataclass(frozen=True)
class Checkpoint:
    """All state after a number of steps: weights and optimizer state by `<stage>.weight` and `<stage>.bias`."""

    step: int
    weights: Mapping[str, "Tensor"]
    optimizer: Mapping[str, "Tensor"]


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint below the folder and remove all but the newest two; one that is there already stays.

    It is on the disk when this returns. Only the process that trains may call this.
    """
    _remove_partial(folder)
    final = paths.checkpoint_of(folder, checkpoint.step)
    try:
        _read(final)
    except _Damaged as reason:
        if final.exists():
            _set_aside(final, reason, "it is written again")
        _write(final, checkpoint)
    _prune(folder)
    return final


def newest(folder: Path) -> Checkpoint | None:
    """The newest undamaged checkpoint, for those who only read; None if there is no checkpoint.

    Raises UserError if all are damaged.
    """
    found, damaged = _search(folder)
    for path, reason in damaged.items():
        say(f"Checkpoint {path} is damaged ({reason}); the one before it is used.")
    return found


def recover(folder: Path) -> Checkpoint | None:
    """The same for the process that trains: what a crash has left is removed, and what is damaged set aside."""
    _remove_partial(folder)
    found, damaged = _search(folder)
    for path, reason in damaged.items():
        lost = step_of(path) - (found.step if found else 0)
        _set_aside(path, reason, f"the one before it is used: {lost:,} steps are lost and repeated")
    _prune(folder)
    return found


def read(path: Path) -> Checkpoint:
    """The checkpoint at the path. Raises UserError if it is damaged."""
    try:
        return _read(path)
    except _Damaged as reason:
        raise UserError(
            f"Checkpoint {path} is damaged ({reason}).",
            fix="Name another one, or the run: its newest undamaged checkpoint is used.",
            exit_code=Exit.BAD_DATA,
        ) from None


def kernels(folder: Path, stage: str) -> tuple[int, NDArray[np.float32]] | None:
    """The step of the newest readable checkpoint and a stage's weights in it, (maps, C, H, W); None without one."""
    for path in newest_checkpoints(folder):
        # A run in progress removes old checkpoints; damaged ones are skipped.
        with suppress(OSError, SafetensorError), safe_open(path / MODEL, framework="numpy") as tensors:
            return step_of(path), tensors.get_tensor(f"{stage}.weight")
    return None


class _Damaged(Exception):
    """A checkpoint is missing or not as it was written; the message is the reason."""


def _write(final: Path, checkpoint: Checkpoint) -> None:
    from safetensors.torch import save as as_bytes

    partial = paths.partial_of(final)
    make_folder(final.parent)
    try:
        partial.mkdir()
        digests = {}
        for name, tensors in ((MODEL, checkpoint.weights), (OPTIMIZER, checkpoint.optimizer)):
            content = as_bytes({key: value.detach().cpu().contiguous() for key, value in tensors.items()})
            digests[name] = hashlib.sha256(content).hexdigest()
            write_bytes(partial / name, content)
        write_json(partial / STATE, {"step": checkpoint.step, "sha256": digests})
        partial.rename(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync(final.parent)


def _search(folder: Path) -> tuple[Checkpoint | None, "dict[Path, _Damaged]"]:
    """The newest undamaged checkpoint and the damaged ones after it, with reasons. Raises UserError if all are."""
    damaged: dict[Path, _Damaged] = {}
    for path in newest_checkpoints(folder):
        try:
            return _read(path), damaged
        except _Damaged as reason:
            if not path.exists():  # the process that trains has just removed it
                return _search(folder)
            damaged[path] = reason
    if damaged:
        path, why = next(iter(damaged.items()))
        raise UserError(
            f"All checkpoints of {folder.parent} are damaged; the newest is {path.name} ({why}).",
            fix="Bring back a copy of them, or rename the folder of the run and train anew.",
            exit_code=Exit.BAD_DATA,
        )
    return None, {}


def _read(path: Path) -> Checkpoint:
    """The checkpoint at the path; raises _Damaged with the reason if it is not as it was written."""
    from safetensors.torch import load

    file, tensors, digests = path / STATE, [], {}
    try:
        with suppress(ValueError, KeyError, TypeError):
            content = file.read_bytes()
            state = json.loads(content)
            if content == json_text(state).encode() and state["step"] == step_of(path):
                digests = {name: state["sha256"][name] for name in (MODEL, OPTIMIZER)}
        if not digests:
            raise _Damaged(f"{STATE} is not as it was written")
        for file in (path / name for name in digests):
            content = file.read_bytes()
            if hashlib.sha256(content).hexdigest() != digests[file.name]:
                raise _Damaged(f"{file.name} does not have its checksum")
            tensors.append(load(content))
    except OSError as error:
        if error.errno not in LOST:
            raise
        raise _Damaged(f"{file.name}: {error.strerror}") from None
    except (SafetensorError, ValueError, KeyError) as error:
        raise _Damaged(f"{file.name}: {error}") from None
    return Checkpoint(step_of(path), *tensors)


def _prune(folder: Path) -> None:
    for old in reversed(newest_checkpoints(folder)[CHECKPOINTS_KEPT:]):
        removed = old.rename(paths.partial_of(old))
        sync(folder)
        shutil.rmtree(removed)


def _set_aside(path: Path, reason: "_Damaged", then: str) -> None:
    aside = path.with_name(f"{paths.DAMAGED}{path.name}")
    shutil.rmtree(aside, ignore_errors=True)  # of an earlier time
    path.rename(aside)
    sync(aside.parent)
    say(f"Checkpoint {path} is damaged ({reason}) and is now {aside.name}; {then}.")


def _remove_partial(folder: Path) -> None:
    for left in folder.glob(".step-*.partial"):
        shutil.rmtree(left)
