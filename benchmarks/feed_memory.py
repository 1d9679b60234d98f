"""Memory of the feed: over many batches, and for the index of all of ImageNet.

python benchmarks/feed_memory.py STORE [--batches 50000]
python benchmarks/feed_memory.py --index

The first prints the megabytes of each process that are its own or shared with the workers while an epoch follows the
other. The second makes a store of 1,281,167 rows without pixels and prints what opening, labels and a plan take, and
what a worker takes that has opened every shard. Linux only.
"""

import argparse
import multiprocessing
import os
import time
import zlib
from itertools import count, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from alexrepro.data.loading.loader import Feed
from alexrepro.data.loading.sampling import Plan, training_plan
from alexrepro.data.loading.workers import Kind
from alexrepro.data.store.manifest import MANIFEST, Manifest, Shard, sha256_of
from alexrepro.data.store.store import SCHEMA, Store, write_shard
from alexrepro.paper.training import Augmentation

IMAGES, CLASSES, SHARD = 1_281_167, 1000, 1024


def megabytes(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem"))) / 1024


def plan_of(images: int, epoch: int) -> Plan:
    return training_plan(
        images, seed=0, epoch=epoch, augmentation=Augmentation(), side_px=224, shuffle_every_epoch=True
    )


def over_many_batches(store: Store, kind: Kind, batches: int) -> None:
    print(f"| {kind}: batches | this process, MB | a worker, MB |\n| --- | --- | --- |")
    shown = {1000, *range(10_000, batches + 1, 10_000)}
    done, since = 0, time.perf_counter()
    with Feed(store, batch=128, side_px=224, workers=2, kind=kind) as feed:
        for epoch in count():
            for _ in feed.batches(plan_of(len(store), epoch)):
                done += 1
                if done in shown:
                    workers = [megabytes(process.pid or 0) for process in multiprocessing.active_children()]
                    print(f"| {done:,} | {megabytes(os.getpid()):.1f} | {max(workers, default=0):.1f} |", flush=True)
            if done >= batches:
                break
    print(f"\n{done / (time.perf_counter() - since):.0f} batches a second\n")


def store_without_pixels(folder: Path) -> Store:
    labels = np.sort(np.random.default_rng(0).integers(0, CLASSES, IMAGES))
    shards = []
    for number, (start, end) in enumerate(pairwise([*range(0, IMAGES, SHARD), IMAGES])):
        rows = range(start, end)
        names = [f"n{labels[row]:08d}/n{labels[row]:08d}_{row}.JPEG" for row in rows]
        columns = [[b""] * len(rows), labels[start:end], names, [zlib.crc32(b"")] * len(rows)]
        file = f"shard-{number:05d}.arrow"
        write_shard(pa.table(columns, schema=SCHEMA), folder / file)
        shards.append(Shard(file, len(rows), "0" * 64))
    manifest = Manifest(
        dataset="empty", split="train", images=IMAGES, classes=tuple(f"n{k:08d}" for k in range(CLASSES)),
        class_names=tuple(str(k) for k in range(CLASSES)), ilsvrc_ids=None, labeled=True, encoding="raw", rule="",
        source="", listing="", libraries={}, shards=tuple(shards), defects=(),
        labels_sha256=sha256_of(labels.astype("<i8").tobytes()), sha256={},
    )  # fmt: skip
    (folder / MANIFEST).write_text(manifest.text(), encoding="utf-8")
    return Store.open(folder)


def index() -> None:
    with TemporaryDirectory() as folder:
        store_without_pixels(Path(folder))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, "alexrepro.data.loading.loader"])
        for part in (parent_of_all, worker_of_all):
            process = context.Process(target=part, args=(Path(folder),))
            process.start()
            process.join()


def parent_of_all(folder: Path) -> None:
    """Print what the training process takes."""
    before, since = megabytes(os.getpid()), time.perf_counter()
    store = Store.open(folder)
    _ = store.labels
    opened = megabytes(os.getpid())
    seconds = time.perf_counter() - since
    plan = plan_of(IMAGES, 1)
    print(f"opened, with labels: {opened - before:.0f} MB, {seconds:.1f} s, {open_files()} open files")
    print(f"and the plan of {len(plan):,} images: {megabytes(os.getpid()) - before:.0f} MB")


def worker_of_all(folder: Path) -> None:
    """Print what a worker takes, once it has opened every shard."""
    before = megabytes(os.getpid())
    store = Store.open(folder)
    for row in range(0, IMAGES, SHARD):
        store._places(row // SHARD)
    print(f"a worker that has opened {len(store.manifest.shards):,} shards: {megabytes(os.getpid()) - before:.0f} MB")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path, nargs="?")
    parser.add_argument("--batches", type=int, default=50_000)
    parser.add_argument("--index", action="store_true")
    given = parser.parse_args()
    if given.index:
        index()
    else:
        for kind in ("threads", "processes"):
            over_many_batches(Store.open(given.store), kind, given.batches)
