"""Checks before a training: will this recipe train on this store and machine, and how long will it take?

Each check gives a row and changes nothing. What would end a training is reported in the words that would end it.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from math import prod
from pathlib import Path

import torch

from alexrepro.data.loading.loader import workers_and_slots
from alexrepro.data.loading.ring import image_shape
from alexrepro.data.store.store import Store
from alexrepro.device import Device, find_device
from alexrepro.diagnostics import system_checks as system
from alexrepro.diagnostics.bench import bench, estimate, hours_by_precision
from alexrepro.diagnostics.system_checks import Finding, refused, size
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.inference import BATCH, pixels_of
from alexrepro.model.alexnet import build
from alexrepro.progress import counted, duration, say
from alexrepro.training.divergence import center_crops, diagnose
from alexrepro.training.job import TrainingJob
from alexrepro.training.layouts import faster, hours_of

# Measured at full width on a CPU: weights count once each in the network, velocities, gradients, and the network under
# construction, and twice in a checkpoint being written; activations with what is kept of them for the backward pass.
FLOAT_BYTES, COPIES_OF_WEIGHTS, COPIES_OF_ACTIVATIONS, PROGRAM_BYTES = 4, 6, 4, 6 * 10**8
# What torch holds on a GPU at full width in float32 and bf16, rounded up, logged on the null GPU of the tests: recorded
# and plain steps have memory of their own. The libraries' own memory is a guess.
GPU_COPIES_OF_WEIGHTS, GPU_COPIES_OF_ACTIVATIONS, GPU_PROGRAM_BYTES = 10, 5, 10**9
DIAGNOSED_IMAGES = 32
TIMED_IMAGES = 32  # a batch on a CPU; full ones take a minute and train up to a quarter more images per second
LONG_HOURS = 6 * 24.0  # the training of 2012 took "between five and six days" (§1)


def check_machine(device_name: str) -> tuple[list[Finding], Device | None]:
    """One finding for each part of the machine, and its device unless it cannot be used."""
    say("Checking the machine.")
    found = [*system.versions(), *system.check_gpus(device_name)]
    try:
        device = find_device(device_name, compiles=True)
    except UserError as error:
        return [*found, refused("device", error)], None
    return [*found, system.compiler(device), system.processors()], device


def check_stores(folders: Sequence[Path]) -> Iterator[Finding]:
    """Whether the manifests, labels and statistics of stores are as they were written; not every byte of the images."""
    say("Checking the stores.")
    for folder in folders:
        what = f"store {folder.name}"
        try:
            store = Store.open(folder)
            len(store.labels)  # opens every shard and compares the checksum of all labels
            if store.manifest.split == "train":
                pixels_of(store)
        except (UserError, OSError) as error:
            found = error.what if isinstance(error, UserError) else f"{error.filename}: {error.strerror}"
            yield Finding(what, found, "error", "Prepare it again from its source.", Exit.BAD_DATA)
        else:
            stored = sum((folder / shard.file).stat().st_size for shard in store.manifest.shards)
            images = f"{len(store):,} images{' without labels' if (advice := store.manifest.labeling) else ''}"
            found = f"{images}, {size(stored)}; alexrepro verify compares every byte"
            yield Finding(what, found, "warning" if advice else "ok", advice)


def check_job(job: TrainingJob) -> Iterator[Finding]:
    """What a training would meet, the slow checks last; they are skipped if the recipe does not fit."""
    checks: dict[str, Callable[[TrainingJob], Finding]] = {
        "recipe": _recipe, "memory": _memory, "GPU memory": _gpu_memory, "disk": _disk, "activations": _activations,
        "time": _time, "precision": _precision,
    }  # fmt: skip
    if not job.device.is_gpu:
        del checks["GPU memory"], checks["precision"]
    try:
        job = job.fitted()
    except UserError as error:
        yield refused("recipe", error)
        return
    if _keeps_images(job):
        checks["images on the GPU"] = _kept_images
    for what, check in checks.items():
        say(f"Checking: {what}.")
        try:
            yield check(job)
        except UserError as error:
            yield refused(what, error)


def _recipe(job: TrainingJob) -> Finding:
    recipe, store, advice = job.recipe, job.store, ""
    found = (
        f"{recipe.name}-{recipe.digest}: {recipe.network.classes:,} classes, {len(store):,} images of "
        f"{store.side_px} px, batches of {recipe.training.batch}"
    )
    if len(store) < recipe.training.batch:
        found, advice = f"{found}, more than the store has", f"Give at most --set training.batch={len(store)}."
    elif job.validation is None and recipe.training.schedule.needs_validation:
        found = f"{found}; without validation its learning rate never drops"
        advice = "Prepare validation images, or choose as-run-2012."
    return Finding("recipe", found, "warning" if advice else "ok", advice)


def _memory(job: TrainingJob) -> Finding:
    """Memory for the network and for batches: at the end of an epoch the validation loader has some, too."""
    training, network = job.recipe.training, job.recipe.network
    need = PROGRAM_BYTES + COPIES_OF_WEIGHTS * FLOAT_BYTES * network.parameters
    if not job.device.is_gpu:
        activations = network.neurons * min(training.batch, len(job.store))
        need += COPIES_OF_ACTIVATIONS * (2 if training.precision == "bf16" else FLOAT_BYTES) * activations
    read_px = job.store.side_px if _keeps_images(job) else network.input_px  # crops are cut on the GPU
    loaders = [(job.store, training.batch, read_px)]
    if job.validation is not None:
        loaders.append((job.validation, BATCH, job.validation.side_px))
    for store, batch, side_px in loaders:
        slots = workers_and_slots(len(store), batch=batch)[1]
        need += slots * min(batch, len(store)) * prod(image_shape(store, side_px, has_device=job.device.is_gpu))
    return system.memory(need, system.free_memory())


def _gpu_memory(job: TrainingJob) -> Finding:
    """Memory of the GPU for weights, and for activations of the recorded step, of a plain one, and of a validation."""
    training, network = job.recipe.training, job.recipe.network
    bytes_each = 2 if training.precision == "bf16" else FLOAT_BYTES
    images = GPU_COPIES_OF_ACTIVATIONS * min(training.batch, len(job.store)) + BATCH
    need = GPU_PROGRAM_BYTES + GPU_COPIES_OF_WEIGHTS * FLOAT_BYTES * network.parameters
    need += images * (bytes_each * network.neurons + FLOAT_BYTES * 3 * network.input_px**2)
    return system.memory(need, job.device.free_memory, "GPU memory")


def _keeps_images(job: TrainingJob) -> bool:
    return job.device.is_gpu and job.store.manifest.encoding != "planes"


def _kept_images(job: TrainingJob) -> Finding:
    """How many images stay in the GPU's memory, so that they are decoded in the first epoch only."""
    images, room = len(job.store), job.device.room(3 * job.store.side_px**2, batch=job.recipe.training.batch)
    kept = min(images, room)
    found = f"{kept:,} of {images:,} images fit into its memory and are decoded in the first epoch only"
    return Finding("images on the GPU", found, facts={"kept_images": kept, "images": images})


def _disk(job: TrainingJob) -> Finding:
    folder = job.run.folder
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        what = f"{there} is not a folder that can be written."
        raise UserError(what, fix="Choose another folder with --runs.", exit_code=Exit.CANNOT_CREATE)
    job.check_disk_space()
    return Finding("disk", f"{size(shutil.disk_usage(there).free)} free, enough for checkpoints and metrics")


def _activations(job: TrainingJob) -> Finding:
    """Whether the images reach the last hidden stage of the untrained network, as a training checks later."""
    recipe, device = job.recipe, job.device.torch_device
    crops = center_crops(job.store, recipe=recipe, pixels=pixels_of(job.store).to(device), most=DIAGNOSED_IMAGES)
    model = build(recipe.network, seed=job.seed).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    found = diagnose(model, crops)
    if found.is_hidden:
        return Finding("activations", found.facts, "error", found.fix, Exit.BAD_CONFIG, asdict(found))
    return Finding("activations", found.facts, "warning" if found.fix else "ok", found.fix, facts=asdict(found))


def _precision(job: TrainingJob) -> Finding:
    """How long the steps of this training take in each precision."""
    with job.device.enough_memory(batch=job.recipe.training.batch):
        hours = hours_by_precision(job.recipe, job.store, job.device)
    found = f"the steps of {job.recipe.training.epochs} epochs take {hours_of(hours)} on {job.device.name}"
    return Finding("precision", found, advice=faster(hours).strip(), facts=hours)


def _time(job: TrainingJob) -> Finding:
    """An estimate of the training time from one round of the benchmark; on a CPU with small batches."""
    recipe, store, device = job.recipe, job.store, job.device
    images = recipe.training.batch if device.is_gpu else min(recipe.training.batch, TIMED_IMAGES)
    with device.enough_memory(batch=images):
        rates = bench(recipe.but({"training.batch": images}), store, device, rounds=1)
    ahead = estimate(recipe, rates, images=len(store))
    time = f"about {duration(3600 * ahead.hours)} for {counted(ahead.epochs, 'epoch')}"
    found = (
        f"{time}, a rough estimate from one round of {images} images on {device.name}: "
        f"loader {rates['loader'][0]:,.0f} images/s, step {rates['step'][0]:,.0f} images/s"
    )
    advice = ""
    if ahead.slower == "loader":
        advice = f"The loader is slower than the step: {ahead.workers_needed} workers would keep up."
    elif ahead.hours > LONG_HOURS:
        advice = "Train on a GPU, or squeeze the schedule: --epochs N."
    return Finding("time", found, "warning" if advice else "ok", advice, facts=asdict(ahead))
