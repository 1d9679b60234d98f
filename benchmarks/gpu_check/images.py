"""The loader alone and next to the fast step, and evaluation with ten crops, on a store of drawn images."""

import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, count, islice, repeat
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from alexrepro.data.loading.loader import Loader, default_workers
from alexrepro.data.loading.sampling import Batch, training_plan
from alexrepro.data.sources.miniature import CLASSES, write_miniature
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.evaluation.inference import BATCH, EvaluationJob, Model, averages, scored_batches
from alexrepro.evaluation.recorded_network import recorded
from alexrepro.progress import say
from alexrepro.recipes.recipe import Recipe
from benchmarks.gpu_check import contenders
from benchmarks.gpu_check.contenders import layouts
from benchmarks.gpu_check.page import rate, table
from benchmarks.gpu_check.study import NOT_RUN, Facts, Study, reason

COPIES = 8  # of each drawn image, since drawing takes longer than preparing
MOST_IMAGES = 4096
SECONDS = 5.0  # of a measurement
STORE_SECONDS, LOADER_SECONDS, EVALUATION_SECONDS = 40.0, 30.0, 30.0  # wanted to begin
WARM_UP = 5  # batches


def run(study: Study, facts: Facts) -> None:
    with TemporaryDirectory() as folder:
        if not _has(study, STORE_SECONDS):
            return
        started = time.perf_counter()
        store = _store(study, Path(folder))
        facts |= {"images": len(store), "workers": default_workers(), "store, s": time.perf_counter() - started}
        for name, part, seconds in (
            ("loader", _loader, LOADER_SECONDS),
            ("evaluation", _evaluation, EVALUATION_SECONDS),
        ):
            facts[name] = {}
            if not _has(study, seconds):
                continue
            try:
                part(study, store, facts[name])
            except Exception as error:
                facts[name]["failed"] = reason(error)
            say(f"  {name}: {', '.join(f'{key} {_text(value)}' for key, value in facts[name].items())}")


def _has(study: Study, seconds: float) -> bool:
    return study.budget.has(0.0 if study.is_short else seconds)


def _store(study: Study, folder: Path) -> Store:
    """A training store with a batch for each worker and some more, of drawn images and copies of them."""
    images = 512 if study.is_short else min(MOST_IMAGES, BATCH * (default_workers() + 4))
    write_miniature(
        folder / "drawn", train_per_class=max(2, images // COPIES // len(CLASSES)), val_per_class=1, test_per_class=1
    )
    for path in sorted((folder / "drawn/train").rglob("*.JPEG")):
        for number in range(1, COPIES):
            shutil.copy(path, path.with_name(f"{path.stem}{number}{path.suffix}"))
    options = Options(max_bad=MOST_IMAGES, allow_partial=True)  # the copies are too many for the development kit
    return prepare(folder / "drawn", out=folder / "stores", options=options)["train"]


def _batches(store: Store, recipe: Recipe, loader: Loader) -> Iterator[Batch]:
    """Full batches without end, as a training reads them."""
    plan = training_plan(
        len(store), seed=0, epoch=1, augmentation=recipe.augmentation, side_px=recipe.network.input_px,
        shuffle_every_epoch=recipe.training.shuffle_every_epoch,
    )  # fmt: skip
    batches = chain.from_iterable(loader.batches(plan) for _ in count())
    return (batch for batch in batches if len(batch) == recipe.training.batch)


def _loader(study: Study, store: Store, facts: Facts) -> None:
    recipe, device = contenders.recipe_of(study.recipe, "bf16"), Device(study.device, compiles=True)
    training = contenders.training_of(recipe, device)
    batch = contenders.batch_of(recipe, recipe.training.batch, study.device)
    step, seeds = contenders.fast_step(training, batch, next(iter(layouts().values()))), training.seeds()
    size, limit = recipe.training.batch, 0.5 if study.is_short else SECONDS

    def rounds(batches: Iterator[Batch], *, trains: bool) -> tuple[float, float]:
        """Images per second, and the fraction of the time in which the loop waits for a batch."""
        for _ in range(WARM_UP):
            next(batches)
        torch.cuda.synchronize(study.device)
        started, waited, done = time.perf_counter(), 0.0, 0
        while time.perf_counter() - started < limit:
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            if trains:
                step(batch, seeds[done % len(seeds)])
            done += 1
        torch.cuda.synchronize(study.device)
        total = time.perf_counter() - started
        return done * size / total, waited / total

    facts["step alone, images/s"], _ = rounds(repeat(batch), trains=True)
    with Loader(store, batch=size, side_px=recipe.network.input_px, copies=device.copies) as loader:
        batches = _batches(store, recipe, loader)
        facts["loader alone, images/s"], _ = rounds(batches, trains=False)
        facts["together, images/s"], waiting = rounds(batches, trains=True)
    facts["lost to the loader"] = max(0.0, 1 - facts["together, images/s"] / facts["step alone, images/s"])
    facts["time in which the loop waits for a batch"] = waiting


def _evaluation(study: Study, store: Store, facts: Facts) -> None:
    recipe, device = contenders.recipe_of(study.recipe, "bf16"), Device(study.device, compiles=True)
    training = contenders.training_of(recipe, device)
    model = Model(recorded(training.model, device), recipe, training.pixels)
    facts["from a store, images/s"] = None
    ends = []
    with closing(scored_batches(EvaluationJob([model], store, "ten", device))) as batches:
        for found in islice(batches, len(store) // BATCH):  # the last batch is smaller and not recorded
            found.outcomes["ten"].counts()
            ends.append(time.perf_counter())
    if len(ends) > 1:  # the first one compiles and records
        facts["from a store, images/s"] = BATCH * (len(ends) - 1) / (ends[-1] - ends[0])
    side_px = recipe.augmentation.stored_px
    images = torch.randint(0, 256, (BATCH, side_px, side_px, 3), dtype=torch.uint8, device=study.device)
    times = []
    for _ in range(study.rounds + 1):
        torch.cuda.synchronize(study.device)
        started = time.perf_counter()
        averages(model, images.permute(0, 3, 1, 2), crops=("ten",), device=device)
        torch.cuda.synchronize(study.device)
        times.append(time.perf_counter() - started)
    facts["images on the GPU, images/s"] = BATCH / statistics.median(times[1:])


def section(facts: Facts, name: str) -> str:
    """The table of the loader or of the evaluation."""
    found = facts.get(name)
    if not found:
        return NOT_RUN
    about = (
        f"{facts['images']:,} drawn images, stored as JPEG; loader workers: {facts['workers']}; bf16."
        if name == "loader"
        else f"Ten crops in bf16 with the recorded network; loader workers: {facts['workers']}."
    )
    return f"{about}\n\n{table(('what', 'measured'), [(what, _text(value)) for what, value in found.items()])}"


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1%}" if value < 1 else rate(value)
    return NOT_RUN if value is None else str(value)
