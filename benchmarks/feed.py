"""Training batches from stored 256×256 JPEG: ours beside other loaders, and beside the JPEG decoder alone.

python benchmarks/feed.py PHOTOS [--rounds 5] [--workers 2]

PHOTOS is a folder of JPEG files; they are prepared ten times over. Every loader yields uint8 batches of 128 random
224×224 crops, mirrored half of the time (ours leaves that to the training device). Loaders that are not installed
are passed over. Each runs in programs of its own, in turn: CPU seconds of all its processes, and wall seconds, over
several thousand images after an epoch of warming up; medians, ratios of the same round. Linux only.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import time
from importlib import metadata
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from feed_loaders import LOADERS, stored_files, write_ffcv

from alexrepro.data.store.prepare import prepare
from alexrepro.processors import usable_processors

COPIES = 10
WARMING = 25  # batches, more than an epoch: no checksum of ours is left to be compared
LIBRARIES = (
    "torch", "torchvision", "simplejpeg", "numpy", "pillow", "webdataset", "timm", "nvidia-dali-cuda130", "ffcv",
)  # fmt: skip


BASELINE, LIMIT = next(iter(LOADERS)), list(LOADERS)[-1]


def prepare_all(photos: Path, folder: Path) -> None:
    """Both stores, and the JPEG of the first as class folders and as tar files."""
    for copy in range(COPIES):
        (folder / "photos" / f"{copy:02d}").mkdir(parents=True)
        for path in sorted(photos.glob("*.JPEG")):
            shutil.copy(path, folder / "photos" / f"{copy:02d}" / path.name)
    stores = {
        encoding: prepare(folder / "photos", out=folder / encoding, encoding=encoding) for encoding in ("jpeg", "raw")
    }
    store = stores["jpeg"]["train"]
    for row, (data, label) in enumerate(zip(stored_files(store), store.labels.tolist(), strict=True)):
        file = folder / "tree" / f"{label:02d}" / f"{row:06d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.with_suffix(".cls").write_text(str(label))
    write_ffcv(folder)
    for number in range(5):
        with tarfile.open(folder / f"{number}.tar", "w") as tar:
            for file in sorted((folder / "tree").glob(f"*/*[{number}{number + 5}].*")):
                tar.add(file, file.name)


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
    for _ in range(WARMING):
        next(batches)
    cpu, wall, done = session_seconds(), time.perf_counter(), 0
    while done < images:
        done += next(batches)
    cpu, wall = session_seconds() - cpu, time.perf_counter() - wall
    print(json.dumps({"cpu": done / cpu, "wall": done / wall}), flush=True)
    os._exit(0)  # endless loaders need not be taken apart


def run(name: str, folder: Path, workers: int, images: int) -> dict[str, float]:
    images *= 10 if "raw" in name else 1
    options = ["--only", name, "--workers", str(workers), "--images", str(images)]
    command = [sys.executable, __file__, str(folder), *options]
    answer = subprocess.run(command, capture_output=True, start_new_session=True, text=True, check=False)
    if answer.returncode:
        print(f"{name}: {answer.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return {}
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def main(photos: Path, rounds: int, workers: int, images: int) -> None:
    found: dict[str, list[dict[str, float]]] = {}
    with TemporaryDirectory() as folder:
        prepare_all(photos, Path(folder))
        names = list(LOADERS)
        for turn in range(rounds):
            for name in names[:: 1 if turn % 2 else -1]:
                found.setdefault(name, []).append(run(name, Path(folder), workers, images))
            names = [name for name in names if all(found[name])]
    print("| loader | images per CPU-second | ratio to the first | to the decoder | images per second |")
    print("| --- | --- | --- | --- | --- |")
    for name in names:
        cpu, wall = ([rates[key] for rates in found[name]] for key in ("cpu", "wall"))
        ratios = [median(a / b["cpu"] for a, b in zip(cpu, found[other], strict=True)) for other in (BASELINE, LIMIT)]
        print(f"| {name} | {median(cpu):,.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} | {median(wall):,.0f} |")
    have = {d.metadata["Name"]: d.version for d in metadata.distributions()}
    versions = ", ".join(f"{name} {have[name]}" for name in LIBRARIES if name in have)
    print(f"\n{rounds} rounds, {workers} workers, {usable_processors()} processors; "
          f"Python {platform.python_version()}, {versions}")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--images", type=int, default=5120)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        measure(given.only, given.photos, given.workers, given.images)
    else:
        main(given.photos, given.rounds, given.workers, given.images)
