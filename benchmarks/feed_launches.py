"""What the workers of the feed cost the training loop: small torch operations that it launches, a second.

python benchmarks/feed_launches.py STORE [--rounds 5]

The loop launches 200 operations on one number, takes a batch, and so on; the time it waits for batches is left out.
It has the first processor to itself, and the workers share the second. Rounds interleaved, medians. Linux only.
"""

import argparse
import os
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from statistics import median

import torch

from alexrepro.data.loading.loader import Batch, Feed
from alexrepro.data.loading.sampling import training_plan
from alexrepro.data.loading.workers import Kind
from alexrepro.data.store.store import Store
from alexrepro.paper.training import Augmentation

SECONDS = 1.5
CASES: tuple[tuple[Kind, int], ...] = (("threads", 1), ("processes", 1), ("threads", 4), ("processes", 4))


def batches(store: Store, feed: Feed) -> Iterator[Batch]:
    for epoch in count():
        yield from feed.batches(
            training_plan(
                len(store), seed=0, epoch=epoch, augmentation=Augmentation(), side_px=224, shuffle_every_epoch=True
            )
        )


def launches(found: Iterator[object]) -> float:
    """Operations launched a second, while nothing is waited for."""
    number, launched, waited = torch.zeros(1), 0, 0.0
    next(found)
    start = time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        for _ in range(200):
            number.add_(1)
        launched += 200
        asked = time.perf_counter()
        next(found)
        waited += time.perf_counter() - asked
    return launched / (time.perf_counter() - start - waited)


def main(store: Store, rounds: int) -> None:
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {0})
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        found.setdefault("no feed", []).append(launches(iter(count())))
        for kind, workers in CASES:
            os.sched_setaffinity(0, {1})  # of this thread; workers inherit it
            with Feed(store, batch=128, side_px=224, workers=workers, kind=kind) as feed:
                os.sched_setaffinity(0, {0})
                found.setdefault(f"{workers} {kind}", []).append(launches(batches(store, feed)))
    print("| beside | launches a second |\n| --- | --- |")
    for name, values in found.items():
        print(f"| {name} | {median(values):,.0f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    main(Store.open(given.store), given.rounds)
