"""ILSVRC-2012 rehearsed: a fake of it in its official layout, at any size, and what each command costs there.

python benchmarks/rehearsal.py FOLDER [--images 50000 200000 1281167] [--only WORD ...]

FOLDER, outside of the repository, gets the sources, stores and runs of every size (4.2 kB an image in all, and what is
there is not made again) and `figures.json`, from which the table is printed. The archives are a tar of class tars, a
tar of validation images and the devkit; images are JPEGs of 64x48 pixels, each with a comment of its own. Every command
is a program of its own. A cell holds the CPU-seconds, user and system, of all its processes, then the peak of anonymous
memory (RssAnon) of the program and of the largest of its other processes, in MB.
"""

import argparse
import ctypes
import json
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from command_cost import measured
from fake_ilsvrc import write_ilsvrc

UPDATES = 901_000
MAX_BATCH = 128
LARGEST = 14_197_122  # images of all of ImageNet
SUBREAPER = 36  # prctl's PR_SET_CHILD_SUBREAPER: what a program leaves behind becomes ours, and is counted
RECIPE = """base = "cifar-13pct"
description = "a narrow network for the rehearsal"
network.stages = ["conv1", "conv2", "fc10"]
network.conv1 = { maps = 4, stride_px = 2 }
network.conv2.maps = 8
training.batch = 128
"""
PLAN = """
from alexrepro.data.loading.sampling import training_plan
from alexrepro.recipes.catalog import AS_PRINTED
plan = training_plan(%d, seed=0, epoch=1, augmentation=AS_PRINTED.augmentation, side_px=224, shuffle_every_epoch=True)
for number, draws in plan.batches(128):
    pass
"""
COLD = """
import os, sys
from pathlib import Path
import numpy as np
from alexrepro.data.store.store import Store

store = Store.open(Path(sys.argv[1]))
files = sorted(store.path.glob("shard-*.arrow"))

def cold():
    for file in files:
        with file.open() as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return fetched()

def fetched():
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))

size, before = sum(file.stat().st_size for file in files), cold()
store.labels
print(f"labels: {(fetched() - before) / 1e6:.1f} MB of {size / 1e6:.1f} read;", end=" ")
first = np.cumsum([0, *(shard.images for shard in store.manifest.shards)])[:-1]
before = cold()
for row in first:
    store.stored(int(row), check=False)
print(f"indexes: {(fetched() - before) / 1e6:.1f} MB;", end=" ")
rows = np.random.default_rng(0).permutation(len(store))[:200]
before = cold()
wanted = sum(store.stored(int(row), check=False).nbytes for row in rows)
print(f"200 images: {(fetched() - before) / 1e6:.2f} MB for {wanted / 1e6:.2f}")
"""
LISTING = """
import sys
from pathlib import Path
from alexrepro.data.sources import recognize
from alexrepro.data.store.preparation import Preparation
from alexrepro.data.store.prepare import Options
found = recognize(Path(sys.argv[1]))
for split in found.splits:
    work = Preparation(found, split, Options().form(found), Path("stores"), "source")
    print(work.listing, len(work.jobs))
"""


class Rehearsal:
    """One size, in a folder of its own; `figures` are what was measured, by row."""

    def __init__(self, folder: Path, images: int, only: list[str]) -> None:
        self.folder, self.images, self.only = folder / str(images), images, only
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "figures.json"
        self.figures = json.loads(self.file.read_text()) if self.file.exists() else {}
        (self.folder / "rehearsal.toml").write_text(RECIPE)

    def is_asked(self, name: str) -> bool:
        return not self.only or any(word in name for word in self.only)

    def row(self, name: str, *arguments: object, until: Callable[[], bool] | None = None, by: str = "-m") -> None:
        if not self.is_asked(name):
            return
        start = ("alexrepro",) if by == "-m" else ()
        command = [sys.executable, by, *start, *map(str, arguments)]
        self.figures[name] = measured(command, self.folder, until)
        self.file.write_text(json.dumps(self.figures, indent=1))
        print(f"{self.images:,}: {name}: {self.figures[name]}", flush=True)

    def run(self) -> None:
        self.prepare()
        self.train()
        self.evaluate()

    def prepare(self) -> None:
        source = self.folder / "source"
        if not source.exists():
            shutil.rmtree(self.folder / "unfinished", ignore_errors=True)
            write_ilsvrc(self.folder / "unfinished", self.images)
            (self.folder / "unfinished").rename(source)
        self.row("list and hash the source", LISTING, source, by="-c")
        if self.is_asked("prepare"):
            shutil.rmtree(self.folder / "stores", ignore_errors=True)
        self.row("prepare", "prepare", "source", "--side", 32, "--workers", 2)
        self.row("prepare again", "prepare", "source", "--side", 32)
        self.row("prepare again, all read", "prepare", "source", "--side", 32, "--read-again")
        for store in sorted(self.folder.glob("stores/ilsvrc2012*-train-*/")):
            self.row("read cold", COLD, store, by="-c")
            if self.is_asked("read cold"):
                self.figures["read cold"]["said"] = (self.folder / "said.txt").read_text().strip()
        self.row("plan of an epoch", PLAN % self.images, by="-c")
        self.row("plan of an epoch of 14.2 million", PLAN % LARGEST, by="-c")

    def train(self) -> None:
        """Train a little; then set the run to the middle of all updates, and to their end."""
        a_day = -(-self.images // MAX_BATCH)
        command = ("train", "rehearsal.toml", "--epochs", round(UPDATES / a_day), "--no-compile")
        self.row("train to the first rows", *command, until=lambda: any(self.folder.glob("runs/*/*/metrics.csv")))
        for name, step in (("resume in the middle", UPDATES // 2), ("the last updates", UPDATES // a_day * a_day - 50)):
            if self.is_asked(name):
                bytes_before = self.set_to(step, a_day)
                has_grown = partial(self.is_larger, bytes_before)
                self.row(name, *command, until=has_grown if name.startswith("resume") else None)
        self.row("watch --once", "watch", "--once")
        self.row("report, all", "report")

    @property
    def metrics(self) -> Path:
        return next(self.folder.glob("runs/*/*-seed-0/metrics.csv"))

    def is_larger(self, before: int) -> bool:
        return self.metrics.stat().st_size > before

    def set_to(self, step: int, a_day: int) -> int:
        """Give the run a checkpoint and the rows of this many updates; the size of metrics.csv."""
        from alexrepro.runs import checkpoint
        from alexrepro.runs.run import Run

        run = Run(self.metrics.parent)
        saved = checkpoint.newest(run.checkpoints)
        assert saved is not None
        shutil.rmtree(run.checkpoints)
        checkpoint.save(run.checkpoints, checkpoint.Checkpoint(step, saved.weights, saved.optimizer))
        for file in (run.metrics_file, run.validation_file, run.result_file):
            file.unlink(missing_ok=True)
        run.add_metrics(
            {"step": n, "epoch": (n - 1) // a_day + 1, "images": MAX_BATCH, "loss": "6.907755", "learning_rate": 0.001,
             "images_per_second": 1234.5, "top1_error": "0.999000"} for n in range(1, step + 1)
        )  # fmt: skip
        for epoch in range(1, step // a_day + 1):
            run.add_validation({"epoch": epoch, "split": "ilsvrc2012-val", "crops": "center", "images": 50_000,
                                "top1_error": "0.99", "top5_error": "0.95", "loss": "6.9"})  # fmt: skip
        return run.metrics_file.stat().st_size

    def evaluate(self) -> None:
        """On all training images, because only they are as many as asked for."""
        store = next(self.folder.glob("stores/ilsvrc2012*-train-*"), None)
        if store is None or not any(self.folder.glob("runs/*/*/metrics.csv")):  # as --only may have it
            return
        run = self.metrics.parent
        other = run.with_name(run.name.replace("seed-0", "seed-1"))
        if not other.exists():
            shutil.copytree(run, other)
            facts = json.loads((other / "environment.json").read_text())
            (other / "environment.json").write_text(json.dumps({**facts, "seed": 1}))
        command = ("evaluate", run, "--store", store, "--no-compile")
        self.row("evaluate, center crop", *command)
        self.row("evaluate, ten crops", *command, "--ten-crop")
        self.row("evaluate two runs as one", *command[:2], other, *command[2:])
        self.row("evaluate two runs, all probabilities", *command[:2], other, *command[2:], "--save-probabilities")
        self.row("evaluate the other run", "evaluate", other, "--store", store, "--no-compile")
        self.row("compare two runs", "compare", run, other)
        self.row("features", "features", run)


def cell(found: dict[str, float | str] | None) -> str:
    if found is None or "failed" in found:
        return "failed" if found else ""
    workers = f" / {found['worker_mb']:,}" if found["worker_mb"] else ""
    return f"{found['cpu_s']:,} s, {found['mb']:,}{workers} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--only", nargs="*", default=[], help="words in the names of the rows to measure anew")
    given = parser.parse_args()
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    sizes = [Rehearsal(given.folder.absolute(), images, given.only) for images in given.images]
    for size in sizes:
        size.run()
    print(f"\n| | {' | '.join(f'{size.images:,}' for size in sizes)} |\n|{' --- |' * (len(sizes) + 1)}")
    for name in dict.fromkeys(name for size in sizes for name in size.figures):
        print(f"| {name} | {' | '.join(cell(size.figures.get(name)) for size in sizes)} |")


if __name__ == "__main__":
    main()
