"""The data loader: speed next to other loaders and to the bare decoder, cost for the training loop, memory.

python benchmarks/loader.py speed IMAGES [--rounds 5] [--workers 2] [--only ours]
python benchmarks/loader.py launches STORE [--rounds 5]
python benchmarks/loader.py memory STORE [--batches 50000]
python benchmarks/loader.py index

speed: IMAGES is a folder of JPEG files, prepared ten times over. Every loader yields uint8 batches of 128 random
224x224 crops, flipped half of the time (ours leaves that, and planes, to the training device); a loader that is not
installed is left out. Each runs in a program of its own, in turn, over several thousand images after an epoch to warm
up; medians of CPU seconds of all its processes and of wall seconds, ratios within a round. --only ours leaves out other
projects.
launches: small torch operations a second of a loop with a CPU core of its own, next to workers on another core.
memory: megabytes of each process over many batches. index: of a store with the rows of all of ImageNet and no pixels.
Linux only.
"""

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from itertools import count, pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from loaders import BATCH, DECODER, ENCODINGS, LOADERS, OURS, opened, plan_of, prepare_for_others

from alexrepro.data.store.manifest import MANIFEST, Manifest, Shard, sha256_of
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.data.store.shard_rows import ShardRows
from alexrepro.data.store.store import Store
from alexrepro.processors import usable_processors

COPIES = 10
WARM_UP = 25  # batches, more than an epoch: no checksum of ours is left to compare
SECONDS = 1.5
LIBRARIES = (
    "torch", "torchvision", "simplejpeg", "numpy", "pillow", "webdataset", "timm", "nvidia-dali-cuda130", "ffcv",
)  # fmt: skip


def prepare_all(images: Path, folder: Path) -> None:
    """The stores, and the same images for other loaders."""
    for copy in range(COPIES):
        (folder / "images" / f"{copy:02d}").mkdir(parents=True)
        for path in sorted(images.glob("*.JPEG")):
            shutil.copy(path, folder / "images" / f"{copy:02d}" / path.name)
    for encoding in ENCODINGS:
        prepare(folder / "images", out=folder / encoding, options=Options(encoding=encoding))
    prepare_for_others(folder)


def session_seconds() -> float:
    """CPU seconds of this session: its processes, and those that these have seen end."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == os.getsid(0):
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(name: str, folder: Path, workers: int, images: int) -> None:
    """Print what one loader took, as JSON: the work of a program of its own."""
    torch.set_num_threads(1)
    batches = LOADERS[name](folder, workers)
    for _ in range(WARM_UP):
        next(batches)
    cpu, wall, done = session_seconds(), time.perf_counter(), 0
    while done < images:
        done += next(batches)
    cpu, wall = session_seconds() - cpu, time.perf_counter() - wall
    print(json.dumps({"cpu": done / cpu, "wall": done / wall}), flush=True)
    for process in multiprocessing.active_children():
        process.kill()
    os._exit(0)  # endless loaders need not be taken apart


def run(name: str, folder: Path, given: argparse.Namespace) -> dict[str, float]:
    """One measurement of a loader; empty if it cannot run."""
    images = given.images * (8 if "raw" in name or "planes" in name else 1)
    command = [
        sys.executable, __file__, "measure", str(folder),
        "--name", name, "--workers", str(given.workers), "--images", str(images),
    ]  # fmt: skip
    answer = subprocess.run(command, capture_output=True, start_new_session=True, text=True, check=False)
    if answer.returncode:
        print(f"{name}: {answer.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return {}
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def speed(given: argparse.Namespace) -> None:
    """Print a table of all loaders, in rounds that take turns."""
    names = [name for name in LOADERS if name in OURS or given.only is None]
    found: dict[str, list[dict[str, float]]] = {}
    with TemporaryDirectory() as folder:
        prepare_all(given.path, Path(folder))
        for turn in range(given.rounds):
            for name in names[:: 1 if turn % 2 else -1]:
                found.setdefault(name, []).append(run(name, Path(folder), given))
            names = [name for name in names if all(found[name])]
    print("| loader | images per CPU-second | to the first | to the decoder | images per second |")
    print("| --- | --- | --- | --- | --- |")
    for name in names:
        cpu, wall = ([rates[key] for rates in found[name]] for key in ("cpu", "wall"))
        ratios = [
            f"{median(a / b['cpu'] for a, b in zip(cpu, found[other], strict=True)):.2f}" if other in names else ""
            for other in (names[0], DECODER)
        ]
        print(f"| {name} | {median(cpu):,.0f} | {' | '.join(ratios)} | {median(wall):,.0f} |")
    have = {d.metadata["Name"]: d.version for d in metadata.distributions()}
    versions = ", ".join(f"{name} {have[name]}" for name in LIBRARIES if name in have)
    print(f"\n{given.rounds} rounds, {given.workers} workers, {usable_processors()} processors; "
          f"Python {platform.python_version()}, {versions}")  # fmt: skip


def launches(given: argparse.Namespace) -> None:
    """Print how many small operations a loop launches next to workers of each kind."""
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {0})
    found: dict[str, list[float]] = {}
    for _ in range(given.rounds):
        found.setdefault("no loader", []).append(_launched(iter(count())))
        for kind, workers in (("threads", 1), ("processes", 1), ("threads", 4), ("processes", 4)):
            os.sched_setaffinity(0, {1})  # of this thread; workers inherit it
            with opened(given.path, workers, kind) as batches:
                os.sched_setaffinity(0, {0})
                found.setdefault(f"{workers} {kind}", []).append(_launched(batches))
    print("| next to | launches a second |\n| --- | --- |")
    for name, values in found.items():
        print(f"| {name} | {median(values):,.0f} |")


def _launched(batches: Iterator[object]) -> float:
    """Operations launched a second; the time in which the loop waits for batches is left out."""
    number, launched, waited = torch.zeros(1), 0, 0.0
    next(batches)
    start = time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        for _ in range(200):
            number.add_(1)
        launched += 200
        asked = time.perf_counter()
        next(batches)
        waited += time.perf_counter() - asked
    return launched / (time.perf_counter() - start - waited)


def megabytes(process: int) -> float:
    """Memory that is a process's own, or shared with the workers."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem"))) / 1024


def memory(given: argparse.Namespace) -> None:
    """Print the memory of this process and of a worker over many batches."""
    shown = {1000, *range(10_000, given.batches + 1, 10_000)}
    for kind in ("threads", "processes"):
        print(f"| {kind}: batches | this process, MB | a worker, MB |\n| --- | --- | --- |")
        with opened(given.path, 2, kind) as batches:
            for done, _ in zip(range(1, given.batches + 1), batches, strict=False):
                if done in shown:
                    workers = [megabytes(process.pid or 0) for process in multiprocessing.active_children()]
                    print(f"| {done:,} | {megabytes(os.getpid()):.1f} | {max(workers, default=0):.1f} |", flush=True)


def index(_: argparse.Namespace) -> None:
    """Print the memory of a store of ImageNet's size: in the training process, then in a worker."""
    with TemporaryDirectory() as folder:
        store_without_pixels(Path(folder))
        before, since = megabytes(os.getpid()), time.perf_counter()
        store = Store.open(Path(folder))
        labels = store.labels
        print(f"opened, with {len(labels):,} labels: {megabytes(os.getpid()) - before:.0f} MB, "
              f"{time.perf_counter() - since:.1f} s")  # fmt: skip
        plan = plan_of(store, 1)
        print(f"and the plan of {len(plan):,} images: {megabytes(os.getpid()) - before:.0f} MB")
        before = megabytes(os.getpid())
        for shard in range(len(store.manifest.shards)):
            store._read(shard, 0)
        print(f"and the indexes of all shards, as in a worker: {megabytes(os.getpid()) - before:.0f} MB more")


def store_without_pixels(folder: Path, *, images: int = 1_281_167, classes: int = 1000, shard: int = 1024) -> None:
    """A store with names, labels and empty images."""
    labels = np.sort(np.random.default_rng(0).integers(0, classes, images))
    shards = []
    for number, (start, end) in enumerate(pairwise([*range(0, images, shard), images])):
        rows = range(start, end)
        names = [f"n{labels[row]:08d}_{row}.JPEG" for row in rows]
        file = f"shard-{number:05d}.arrow"
        with ShardRows(folder) as made:
            for label, name in zip(labels[start:end].tolist(), names, strict=True):
                made.add(b"", label, name)
            made.write(folder / file)
        shards.append(Shard(file, len(rows), "0" * 64))
    manifest = Manifest(
        dataset="empty", split="train", images=images, classes=tuple(f"n{k:08d}" for k in range(classes)),
        class_names=tuple(str(k) for k in range(classes)), ilsvrc_ids=None, labeled=True, encoding="raw", rule="",
        source="", listing="", libraries={}, shards=tuple(shards), defects=(),
        labels_sha256=sha256_of(labels.astype("<i8").tobytes()), sha256={},
    )  # fmt: skip
    (folder / MANIFEST).write_text(manifest.text(), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "launches", "memory", "index", "measure"))
    parser.add_argument("path", type=Path, nargs="?", help="images, or a store")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--images", type=int, default=BATCH * 40)
    parser.add_argument("--batches", type=int, default=50_000)
    parser.add_argument("--only", choices=("ours",))
    parser.add_argument("--name", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.what == "measure":
        measure(given.name, given.path, given.workers, given.images)
    else:
        {"speed": speed, "launches": launches, "memory": memory, "index": index}[given.what](given)
