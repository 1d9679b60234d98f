"""The loaders that loader.py compares: ours, and others that make the same batches."""

import math
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from mmap import mmap
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import torch
from torchvision import datasets, io, transforms
from torchvision.transforms import v2

from alexrepro.data.loading.loader import Kind, Loader, Workers
from alexrepro.data.loading.sampling import EpochPlan, training_plan
from alexrepro.data.store.decode import decode_stored
from alexrepro.data.store.manifest import Encoding
from alexrepro.data.store.store import Store, newest_store
from alexrepro.paper.training import Augmentation

BATCH, SIDE, STORED = 128, 224, 256
SHAPE = (BATCH, SIDE, SIDE, 3)
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
FFCV_FILE = "images.beton"
Batches = Iterator[int]  # images in each batch
Start = Callable[[Path, int], Batches]


def stored_files(store: Store) -> Iterator[bytes]:
    """The bytes of each stored image."""
    for shard, about in enumerate(store.manifest.shards):
        yield from (store._read(shard, image)[0] for image in range(about.images))


def plan_of(store: Store, epoch: int) -> EpochPlan:
    """An epoch as training plans it."""
    return training_plan(
        len(store), seed=0, epoch=epoch, augmentation=Augmentation(), side_px=SIDE, shuffle_every_epoch=True
    )


@contextmanager
def opened(path: Path, workers: int, kind: Kind) -> Iterator[Iterator[Any]]:
    """The batches of a store in an endless stream, from threads or processes."""
    store = Store.open(path)
    gpu: Any = lambda *_: SimpleNamespace(copied=iter, close=int)  # noqa: E731 -- which turns planes into RGB
    copies = gpu if store.manifest.encoding == "planes" else None
    with Loader(store, batch=BATCH, side_px=SIDE, copies=copies, workers=Workers(workers, kind)) as loader:
        yield (batch for epoch in count() for batch in loader.batches(plan_of(store, epoch)))


def ours(encoding: str, kind: Kind) -> Start:
    """This package's loader."""

    def start(folder: Path, workers: int) -> Batches:
        with opened(newest_store(folder / encoding, split="train").path, workers, kind) as batches:
            yield from map(len, batches)

    return start


@dataclass
class PlannedBatches:
    """Whole batches as the items of a data set: filled into a ring as ours are, or tensors where there is none."""

    store: Store
    ring: np.ndarray | None

    def __getitem__(self, task: tuple[int, np.ndarray, np.ndarray]) -> Any:
        slot, rows, offsets = task
        out = np.empty(SHAPE, dtype=np.uint8) if self.ring is None else self.ring[slot]
        scratch = np.empty((STORED, STORED, 3), dtype=np.uint8)
        for crop, row, (y, x) in zip(out, rows.tolist(), offsets.tolist(), strict=False):
            crop[:] = self.store.image(row, scratch, check=False)[y : y + SIDE, x : x + SIDE]
        return torch.from_numpy(out[: len(rows)]) if self.ring is None else len(rows)


def torch_data_loader(encoding: str, *, has_ring: bool) -> Start:
    """torch's DataLoader over the same store and decoder: whole batches are items."""

    def start(folder: Path, workers: int) -> Batches:
        store = newest_store(folder / encoding, split="train")
        slots = 3 * workers + 2
        ring = None
        if has_ring:
            ring = np.frombuffer(mmap(-1, slots * math.prod(SHAPE)), dtype=np.uint8).reshape(slots, *SHAPE)

        def tasks() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
            numbers = count()
            for epoch in count():
                for _, draws in plan_of(store, epoch).batches(BATCH):
                    yield next(numbers) % slots, draws.rows.numpy(), draws.offsets.numpy()

        loader = torch.utils.data.DataLoader(
            PlannedBatches(store, ring), batch_size=None, sampler=tasks(), num_workers=workers,
            multiprocessing_context="fork" if has_ring else "forkserver",  # a fork has the ring, too
        )  # fmt: skip
        for found in loader:
            yield found if has_ring else len(found)

    return start


def decoder_alone(folder: Path, workers: int) -> Batches:
    """simplejpeg into one buffer, in one thread."""
    del workers
    images = list(stored_files(newest_store(folder / "jpeg", split="train")))
    out = np.empty((STORED, STORED, 3), dtype=np.uint8)
    for start in count(0, BATCH):
        for position in range(start, start + BATCH):
            decode_stored(images[position % len(images)], out)
        yield BATCH


PIL_CROP = transforms.Compose(
    [transforms.RandomCrop(SIDE), transforms.RandomHorizontalFlip(), transforms.PILToTensor()]
)
TENSOR_CROP = v2.Compose([v2.RandomCrop(SIDE), v2.RandomHorizontalFlip()])


def torchvision_with(change: Any, **reading: Any) -> Start:
    """An ImageFolder in a DataLoader."""

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


def webdataset_pil(folder: Path, workers: int) -> Batches:
    import webdataset

    shards = sorted(str(path) for path in folder.glob("*.tar"))
    data = webdataset.WebDataset(shards, resampled=True, shardshuffle=False).shuffle(1000).decode("pil")
    data = data.to_tuple("jpg", "cls").map_tuple(PIL_CROP, int).batched(BATCH)
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
        offsets = {f"crop_pos_{axis}": fn.random.uniform(range=(0.0, 1.0)) for axis in "xy"}
        images = fn.decoders.image_crop(data, device="cpu", crop=(SIDE, SIDE), output_type=types.RGB, **offsets)
        return fn.flip(images, horizontal=fn.random.coin_flip()), labels

    built = pipeline()
    built.build()
    while True:
        yield len(built.run()[1])


def ffcv_loader(folder: Path, workers: int) -> Batches:
    """FFCV on a file of its own; its only random cut resizes, here from 224 pixels to 224."""
    from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader as Reader
    from ffcv.loader import OrderOption
    from ffcv.transforms import RandomHorizontalFlip, ToTensor

    area = (SIDE / STORED) ** 2
    cut = RandomResizedCropRGBImageDecoder((SIDE, SIDE), scale=(area, area), ratio=(1.0, 1.0))
    reader = Reader(
        str(folder / FFCV_FILE), batch_size=BATCH, num_workers=workers, order=OrderOption.RANDOM, drop_last=True,
        pipelines={"image": [cut, RandomHorizontalFlip(), ToTensor()], "label": None},
    )  # fmt: skip
    for _ in count():
        yield from (len(images) for (images,) in reader)


def prepare_for_others(folder: Path) -> None:
    """The JPEG of our store as class folders, as tar files and as FFCV's file."""
    store = newest_store(folder / "jpeg", split="train")
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


def write_ffcv(folder: Path) -> None:
    """The same pixels as JPEG of the same quality in a file for FFCV, if it is installed."""
    try:
        from ffcv.fields import IntField, RGBImageField
        from ffcv.writer import DatasetWriter
    except ImportError:
        return
    data = datasets.ImageFolder(str(folder / "tree"), is_valid_file=lambda path: path.endswith(".jpg"))
    fields = {"image": RGBImageField(write_mode="jpg", jpeg_quality=95), "label": IntField()}
    DatasetWriter(str(folder / FFCV_FILE), fields, num_workers=1).from_indexed_dataset(data)


DECODER = "the decoder alone (simplejpeg into a buffer), one thread"
MINE: dict[str, Start] = {
    f"`alexrepro`, {'JPEG' if encoding == 'jpeg' else encoding} store, {kind}": ours(encoding, kind)
    for encoding in ENCODINGS for kind in get_args(Kind)
}  # fmt: skip
TORCH: dict[str, Start] = {
    f"`DataLoader` over {encoding} stores, {'ring' if has_ring else 'tensors'}": torch_data_loader(
        encoding, has_ring=has_ring
    )
    for encoding in ("jpeg", "raw")
    for has_ring in (True, False)
}
OURS = (*MINE, *TORCH, DECODER)
LOADERS: dict[str, Start] = {
    "torchvision `ImageFolder`, PIL, `DataLoader`": torchvision_with(PIL_CROP),
    "torchvision, decoded to tensors, `v2`, `DataLoader`": torchvision_with(
        TENSOR_CROP, loader=lambda path: io.decode_jpeg(io.read_file(path), io.ImageReadMode.RGB)
    ),
    "webdataset, PIL, `WebLoader`": webdataset_pil,
    "timm `create_loader`, crop mode `rkrc`": timm_loader,
    "DALI on the processor, decoding only the crop": dali_cpu,
    "FFCV, decoding with its fast DCT": ffcv_loader,
    **TORCH,
    **MINE,
    DECODER: decoder_alone,
}
