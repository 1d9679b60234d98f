"""The check-up before update 1: will this recipe train on this store, on this machine, and how long will it take?

Each question gives a row, and nothing is changed. What would end a training is said in the words that would end it.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from alexrepro.data.loading.loader import workers_and_slots
from alexrepro.data.store.store import Store
from alexrepro.data.store.verify import verify
from alexrepro.device import Device, find_device
from alexrepro.diagnostics.bench import bench, estimate
from alexrepro.diagnostics.system_checks import (
    Finding,
    compiler,
    gpus,
    memory,
    open_files,
    processors,
    refused,
    shared_memory,
    size,
    versions,
    writable,
)
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.inference import BATCH, center_crops
from alexrepro.evaluation.load_run import check_compatible, pixels_of
from alexrepro.model.alexnet import build
from alexrepro.progress import say
from alexrepro.runs.disk_space import check_room
from alexrepro.training.divergence import diagnose, enough_memory
from alexrepro.training.job import TrainingJob

# Measured at full width on a processor: weights count once each in network, velocities, gradients, the network as it is
# built, and twice in a checkpoint on its way; responses with what is kept of them for the way back.
FLOAT_BYTES, COPIES_OF_WEIGHTS, COPIES_OF_RESPONSES, PROGRAM_BYTES = 4, 6, 4, 6 * 10**8
PIXEL_BYTES = 3
FILES_AT_START, FILES_A_WORKER = 64, 4
SHOWN_IMAGES = 32  # to the network, for its first signal
TIMED_IMAGES = 32  # a batch on a processor; whole ones take a minute and train up to a quarter more images a second
PATIENCE_FLOP, FLOP_A_MAC = 2e12, 6  # of a timed update: some 20 seconds of a processor; a product forth and two back
LONG_HOURS = 6 * 24.0  # the training of 2012 took "between five and six days" (§1)


def of_machine(device_name: str) -> tuple[list[Finding], Device | None]:
    """What the machine is, and its device unless it cannot be used."""
    say("Looking at: machine.")
    found = [*versions(), *gpus(device_name)]
    try:
        device = find_device(device_name, compiles=True)
    except UserError as refusal:
        return [*found, refused("device", refusal)], None
    on_gpu = device.torch_device.type == "cuda"
    joined = torch.cuda.device_count() if on_gpu else 0
    return [*found, compiler(device), processors(), shared_memory(joined)], device


def of_stores(folders: Sequence[Path], *, every_byte: bool) -> Iterator[Finding]:
    """Whether stores are as they were written: by their lists, labels and statistics, or by every byte."""
    say("Looking at: stores.")
    for folder in folders:
        problems = verify(folder) if every_byte else _at_a_glance(folder)
        if problems:
            advice = "Prepare it anew from its source."
            yield Finding(f"store {folder.name}", "; ".join(problems), "wrong", advice, Exit.BAD_DATA)
        else:
            how = "every byte is as it was written" if every_byte else "sound at a glance; --full compares every byte"
            yield Finding(f"store {folder.name}", f"{_size(Store.open(folder))}, {how}")


def _at_a_glance(folder: Path) -> list[str]:
    """What is wrong with a store as far as a training looks before its first image."""
    try:
        store = Store.open(folder)
        len(store.labels)  # opens every shard, and compares the checksum of all labels
        if store.manifest.split == "train":
            pixels_of(store)
    except UserError as refusal:
        return [refusal.what]
    except OSError as error:
        return [f"{error.filename} cannot be read ({error.strerror})"]
    return []


def _size(store: Store) -> str:
    files = [store.path / shard.file for shard in store.manifest.shards]
    return f"{len(store):,} images, {size(sum(file.stat().st_size for file in files))}"


def of_job(job: TrainingJob) -> Iterator[Finding]:
    """What a training would meet, the slow questions last; those after a recipe that does not fit are not asked."""
    checks: dict[str, Callable[[TrainingJob], Finding]] = {
        "recipe": _recipe,
        "memory": _memory,
        "disk": _disk,
        "open files": _open_files,
        "first signal": _first_signal,
        "time": _time,
    }
    job = replace(job, recipe=job.recipe.for_classes(len(job.store.manifest.classes)))
    for what, check in checks.items():
        say(f"Looking at: {what}.")
        try:
            yield check(job)
        except UserError as refusal:
            yield refused(what, refusal)
            if what == "recipe":
                return


def _recipe(job: TrainingJob) -> Finding:
    recipe, store = job.recipe, job.store
    for images in filter(None, (store, job.validation)):
        check_compatible(recipe, images)
    found = (
        f"{recipe.name}-{recipe.digest}: {recipe.network.classes:,} classes, {len(store):,} images of "
        f"{store.side_px} px, batches of {recipe.training.batch}"
    )
    if len(store) < recipe.training.batch:
        return Finding(
            "recipe", f"{found}, which are not filled", "look", f"Give at most --set training.batch={len(store)}."
        )
    if job.validation is None and recipe.training.schedule.needs_validation:
        advice = "Prepare validation images, or choose as-run-2012."
        return Finding("recipe", f"{found}; without validation its rate is never divided", "look", advice)
    return Finding("recipe", found)


def _memory(job: TrainingJob) -> Finding:
    training, network = job.recipe.training, job.recipe.network
    batch = min(training.batch, len(job.store))
    held = PROGRAM_BYTES + COPIES_OF_WEIGHTS * FLOAT_BYTES * network.parameters
    if job.device.torch_device.type == "cpu":
        held += COPIES_OF_RESPONSES * (2 if training.precision == "bf16" else FLOAT_BYTES) * batch * network.neurons
    return memory(fed_bytes(job) + held)


def fed_bytes(job: TrainingJob) -> int:
    """Memory for batches: of the training feed and, at the end of an epoch, of the validation feed beside it."""
    feeds = [(job.store, job.recipe.training.batch, job.recipe.network.input_px)]
    if job.validation is not None:
        feeds.append((job.validation, BATCH, job.validation.side_px))
    return sum(
        workers_and_slots(len(store), batch=batch)[1] * min(batch, len(store)) * PIXEL_BYTES * side_px**2
        for store, batch, side_px in feeds
    )


def _disk(job: TrainingJob) -> Finding:
    run, updates = job.run, job.recipe.training.epochs * job.steps_per_epoch
    there = writable(run.folder)
    check_room(run, job.recipe, updates=updates, keep=job.keep)
    return Finding("disk", f"{size(shutil.disk_usage(there).free)} free, room for checkpoints and metrics")


def _open_files(job: TrainingJob) -> Finding:
    return open_files(FILES_AT_START + FILES_A_WORKER * _workers(job))


def _workers(job: TrainingJob) -> int:
    return workers_and_slots(len(job.store), batch=job.recipe.training.batch)[0]


def _first_signal(job: TrainingJob) -> Finding:
    """Whether the images reach the last hidden stage of the untrained network, as the guard of a training asks."""
    recipe, device = job.recipe, job.device.torch_device
    crops, labels = center_crops(job.store, recipe=recipe, pixels=pixels_of(job.store).to(device), most=SHOWN_IMAGES)
    model = build(recipe.network, seed=job.seed).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    learning_rate = recipe.training.rates(recipe.network.stages, epoch=1).general
    found = diagnose(model, crops, labels, learning_rate=learning_rate)
    advice = found.fix(recipe.network)
    if found.is_hidden:
        return Finding("first signal", found.facts, "wrong", advice, Exit.BAD_CONFIG, asdict(found))
    return Finding("first signal", found.facts, "look" if advice else "fine", advice, facts=asdict(found))


def _time(job: TrainingJob) -> Finding:
    """An estimate of the whole training, from one round of the bench; on a processor with small batches."""
    recipe, store, device = job.recipe, job.store, job.device
    images = recipe.training.batch
    if device.torch_device.type == "cpu":
        images = min(images, TIMED_IMAGES)
        if FLOP_A_MAC * recipe.network.macs * images > PATIENCE_FLOP:
            how = f"alexrepro bench {recipe.name} --rounds 1 --images {len(store)}"
            return Finding("time", "not measured, since an update would take minutes", "look", f"Measure with: {how}.")
    with enough_memory(device.torch_device, batch=images):
        timed = recipe.but({"training.batch": images})
        rates = bench(timed, store, device, rounds=1)
    ahead = estimate(recipe, rates, images=len(store))
    fed, trained = (rate.images_per_second for rate in rates)
    found = (
        f"about {ahead.hours:,.1f} hours for {ahead.epochs} epochs, a rough estimate from one round of {images} images:"
        f" loader {fed:,.0f} images/s, step {trained:,.0f} images/s"
    )
    advice = ""
    if ahead.slower == "loader":
        advice = f"The loader is slower than the step: {ahead.workers_needed} workers would keep up."
    elif ahead.hours > LONG_HOURS:
        advice = "Train on a GPU, or squeeze the schedule: --epochs N."
    return Finding("time", found, "look" if advice else "fine", advice, facts=asdict(ahead))
