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
from collections.abc import Callable, Iterator
from importlib import metadata
from itertools import count, pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torchvision import datasets, io, transforms
from torchvision.transforms import v2

from alexrepro.data.decode import decode_square
from alexrepro.data.feed import Feed
from alexrepro.data.plan import training_plan
from alexrepro.data.prepare import prepare
from alexrepro.data.store import Store, newest_store
from alexrepro.data.workers import Kind
from alexrepro.paper.training import Augmentation

BATCH, SIDE, COPIES = 128, 224, 10
WARMING = 25  # batches, more than an epoch: no checksum of ours is left to be compared
Batches = Iterator[int]  # images in each batch
Loader = Callable[[Path, int], Batches]
LIBRARIES = (
    "torch", "torchvision", "simplejpeg", "numpy", "pillow", "webdataset", "timm", "nvidia-dali-cuda130",
)  # fmt: skip


def ours(encoding: str, kind: Kind) -> Loader:
    def load(folder: Path, workers: int) -> Batches:
        store = newest_store(folder / encoding, split="train")
        with Feed(store, batch=BATCH, side_px=SIDE, workers=workers, kind=kind) as feed:
            for epoch in count():
                plan = training_plan(
                    len(store), seed=0, epoch=epoch, augmentation=Augmentation(), side_px=SIDE, reshuffles=True
                )
                yield from map(len, feed.batches(plan))

    return load


def decoder_alone(folder: Path, workers: int) -> Batches:
    del workers
    images = list(stored_files(newest_store(folder / "jpeg", split="train")))
    out = np.empty((256, 256, 3), dtype=np.uint8)
    for start in count(0, BATCH):
        for position in range(start, start + BATCH):
            decode_square(images[position % len(images)], out)
        yield BATCH


PIL_VIEW = transforms.Compose(
    [transforms.RandomCrop(SIDE), transforms.RandomHorizontalFlip(), transforms.PILToTensor()]
)
TENSOR_VIEW = v2.Compose([v2.RandomCrop(SIDE), v2.RandomHorizontalFlip()])


def torchvision_with(change: Any, **reading: Any) -> Loader:
    def load(folder: Path, workers: int) -> Batches:
        data = datasets.ImageFolder(
            str(folder / "tree"), change, is_valid_file=lambda path: path.endswith(".jpg"), **reading
        )
        loader = torch.utils.data.DataLoader(
            data, batch_size=BATCH, shuffle=True, num_workers=workers, persistent_workers=True
        )
        for _ in count():
            yield from (len(labels) for _, labels in loader)

    return load


def read_tensor(path: str) -> torch.Tensor:
    return io.decode_jpeg(io.read_file(path), io.ImageReadMode.RGB)


def webdataset_pil(folder: Path, workers: int) -> Batches:
    import webdataset

    shards = sorted(str(path) for path in folder.glob("*.tar"))
    data = webdataset.WebDataset(shards, resampled=True, shardshuffle=False).shuffle(1000).decode("pil")
    data = data.to_tuple("jpg", "cls").map_tuple(PIL_VIEW, int).batched(BATCH)
    loader = webdataset.WebLoader(data, batch_size=None, num_workers=workers)
    yield from (len(labels) for _, labels in loader)


def timm_loader(folder: Path, workers: int) -> Batches:
    from timm.data import create_dataset, create_loader

    data = create_dataset("", str(folder / "tree"))
    loader = create_loader(
        data, (3, SIDE, SIDE), BATCH, is_training=True, train_crop_mode="rkrc", color_jitter=0.0, num_workers=workers,
        use_prefetcher=True, device=torch.device("cpu"), persistent_workers=True,
    )  # fmt: skip
    for _ in count():
        yield from (len(labels) for _, labels in loader.loader)  # before its conversion to float


def dali_cpu(folder: Path, workers: int) -> Batches:
    from nvidia.dali import fn, pipeline_def, types

    @pipeline_def(batch_size=BATCH, num_threads=workers, device_id=None)
    def pipeline() -> Any:
        data, labels = fn.readers.file(file_root=str(folder / "tree"), random_shuffle=True, name="files")
        places = {f"crop_pos_{axis}": fn.random.uniform(range=(0.0, 1.0)) for axis in "xy"}
        images = fn.decoders.image_crop(data, device="cpu", crop=(SIDE, SIDE), output_type=types.RGB, **places)
        return fn.flip(images, horizontal=fn.random.coin_flip()), labels

    built = pipeline()
    built.build()
    while True:
        yield len(built.run()[1])


LOADERS: dict[str, Loader] = {
    "torchvision `ImageFolder`, PIL, `DataLoader`": torchvision_with(PIL_VIEW),
    "torchvision, decoded to tensors, `v2`, `DataLoader`": torchvision_with(TENSOR_VIEW, loader=read_tensor),
    "webdataset, PIL, `WebLoader`": webdataset_pil,
    "timm `create_loader`, crop mode `rkrc`": timm_loader,
    "DALI on the processor, decoding only the crop": dali_cpu,
    "`alexrepro`, JPEG store, threads": ours("jpeg", "threads"),
    "`alexrepro`, JPEG store, processes": ours("jpeg", "processes"),
    "`alexrepro`, raw store, threads": ours("raw", "threads"),
    "`alexrepro`, raw store, processes": ours("raw", "processes"),
    "the decoder alone (simplejpeg into a buffer), one thread": decoder_alone,
}
BASELINE, LIMIT = next(iter(LOADERS)), list(LOADERS)[-1]


def stored_files(store: Store) -> Iterator[memoryview]:
    """The bytes of each stored image, where they lie."""
    for shard in range(len(store.manifest.shards)):
        columns = store._columns(shard)
        yield from (columns.images[a:b] for a, b in pairwise(columns.ends))


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
    print(f"\n{rounds} rounds, {workers} workers, {os.cpu_count()} processors; "
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
