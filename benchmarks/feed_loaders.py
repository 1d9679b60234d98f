"""The loaders that feed.py compares: ours, and others that make the same batches of the same JPEG."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision import datasets, io, transforms
from torchvision.transforms import v2

from alexrepro.data.loading.loader import Feed
from alexrepro.data.loading.sampling import training_plan
from alexrepro.data.loading.workers import Kind
from alexrepro.data.store.decode import decode_square
from alexrepro.data.store.store import Store, newest_store
from alexrepro.paper.training import Augmentation

BATCH, SIDE, STORED = 128, 224, 256
FFCV_FILE = "photos.beton"
Batches = Iterator[int]  # images in each batch
Loader = Callable[[Path, int], Batches]


def stored_files(store: Store) -> Iterator[bytes]:
    """The bytes of each stored image."""
    for shard, about in enumerate(store.manifest.shards):
        yield from (store._files.read(store._places(shard), image) for image in range(about.images))


def ours(encoding: str, kind: Kind) -> Loader:
    def load(folder: Path, workers: int) -> Batches:
        store = newest_store(folder / encoding, split="train")
        with Feed(store, batch=BATCH, side_px=SIDE, workers=workers, kind=kind) as feed:
            for epoch in count():
                plan = training_plan(
                    len(store), seed=0, epoch=epoch, augmentation=Augmentation(), side_px=SIDE, shuffle_every_epoch=True
                )
                yield from map(len, feed.batches(plan))

    return load


def decoder_alone(folder: Path, workers: int) -> Batches:
    del workers
    images = list(stored_files(newest_store(folder / "jpeg", split="train")))
    out = np.empty((STORED, STORED, 3), dtype=np.uint8)
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


def ffcv_loader(folder: Path, workers: int) -> Batches:
    """FFCV on a file of its own; its only random cut resizes, here from 224 pixels to 224."""
    from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader as Reader
    from ffcv.loader import OrderOption
    from ffcv.transforms import RandomHorizontalFlip, ToTensor

    share = (SIDE / STORED) ** 2
    cut = RandomResizedCropRGBImageDecoder((SIDE, SIDE), scale=(share, share), ratio=(1.0, 1.0))
    reader = Reader(
        str(folder / FFCV_FILE), batch_size=BATCH, num_workers=workers, order=OrderOption.RANDOM, drop_last=True,
        pipelines={"image": [cut, RandomHorizontalFlip(), ToTensor()], "label": None},
    )  # fmt: skip
    for _ in count():
        yield from (len(images) for (images,) in reader)


def write_ffcv(folder: Path) -> None:
    """The pixels of the tree, as JPEG of the same quality, in a file for FFCV, where it is installed."""
    try:
        from ffcv.fields import IntField, RGBImageField
        from ffcv.writer import DatasetWriter
    except ImportError:
        return
    data = datasets.ImageFolder(str(folder / "tree"), is_valid_file=lambda path: path.endswith(".jpg"))
    fields = {"image": RGBImageField(write_mode="jpg", jpeg_quality=95), "label": IntField()}
    DatasetWriter(str(folder / FFCV_FILE), fields, num_workers=1).from_indexed_dataset(data)


LOADERS: dict[str, Loader] = {
    "torchvision `ImageFolder`, PIL, `DataLoader`": torchvision_with(PIL_VIEW),
    "torchvision, decoded to tensors, `v2`, `DataLoader`": torchvision_with(TENSOR_VIEW, loader=read_tensor),
    "webdataset, PIL, `WebLoader`": webdataset_pil,
    "timm `create_loader`, crop mode `rkrc`": timm_loader,
    "DALI on the processor, decoding only the crop": dali_cpu,
    "FFCV, decoding with its fast DCT": ffcv_loader,
    "`alexrepro`, JPEG store, threads": ours("jpeg", "threads"),
    "`alexrepro`, JPEG store, processes": ours("jpeg", "processes"),
    "`alexrepro`, raw store, threads": ours("raw", "threads"),
    "`alexrepro`, raw store, processes": ours("raw", "processes"),
    "the decoder alone (simplejpeg into a buffer), one thread": decoder_alone,
}
