"""What `bench` runs: a round of each part of the work, and of the limit that it runs against."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, count, cycle, islice
from time import perf_counter

import numpy as np
import torch
import torch.nn.functional as F

from alexrepro.data.loading.crops import Pixels, evaluation_crops
from alexrepro.data.loading.loader import Feed, default_workers
from alexrepro.data.loading.sampling import training_plan
from alexrepro.data.store.decode import decode, encode
from alexrepro.data.store.resize import square
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.distributed.collectives import Gradients
from alexrepro.distributed.process_group import ProcessGroup
from alexrepro.model.alexnet import AlexNet, build
from alexrepro.model.tower_parallel import LocalTowers
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.optimizer import Momentum
from alexrepro.training.schedule import rates_at

PHOTO_PX = (375, 500)  # the most frequent size of ImageNet's photographs
PHOTOS = 64
FED, PRODUCTS = 16, 8  # batches for each update, matrix products in a round
TEN_CROPS, FORWARD_AND_BACK = 10, 3  # a step computes every product once forward and twice back
Round = Callable[[], tuple[float, float]]  # work done and the seconds it took
Work = tuple[Round, str, Round]  # the work, what limits it, and the limit


@dataclass
class Traffic:
    """What one process sends to the others for one image, and the number of values gathered in all of them."""

    values: int = 0
    bytes_forward: int = 0
    bytes_back: int = 0


class SilentTowers(LocalTowers):
    """Sharded towers without communication: copies of the maps held here stand for those of the other processes.

    `traffic` counts what real ones would send.
    """

    def __init__(self, rank: int, processes: int) -> None:
        self.rank, self.processes = rank, processes
        self.traffic = Traffic()

    def all_gather_maps(self, maps: torch.Tensor) -> torch.Tensor:
        """The maps, once for each process."""
        self._count(maps, is_summed=True)
        return torch.cat([maps] * self.processes, dim=1)

    def gather_logits(self, logits: torch.Tensor) -> torch.Tensor:
        """The logits, once for each process; the others' slices of the gradient are not needed."""
        self._count(logits, is_summed=False)
        return torch.cat([logits, *[logits.detach()] * (self.processes - 1)], dim=1)

    def _count(self, maps: torch.Tensor, *, is_summed: bool) -> None:
        sent = maps[0].numel() * maps.element_size() * (self.processes - 1)
        self.traffic.values += maps[0].numel() * self.processes
        self.traffic.bytes_forward += sent
        self.traffic.bytes_back += sent * is_summed


def feed_work(recipe: Recipe, store: Store, device: Device, batches: int) -> Work:
    """Batches as training reads them, beside the bare decoding of as many images in as many threads as workers."""
    batch = recipe.training.batch
    plan = training_plan(
        len(store), seed=0, epoch=1, augmentation=recipe.augmentation, side_px=recipe.network.input_px,
        shuffle_every_epoch=recipe.training.shuffle_every_epoch,
    )  # fmt: skip

    def work() -> tuple[float, float]:
        with Feed(store, batch=batch, side_px=recipe.network.input_px, device=device.torch_device) as opened:
            epochs = chain.from_iterable(opened.batches(plan) for _ in count())
            next(epochs)  # the workers have begun
            started = perf_counter()
            images = sum(len(found) for found in islice(epochs, FED * batches))
            return images, perf_counter() - started

    rows = list(islice(cycle(range(len(store))), FED * batches * batch))
    name = "libjpeg-turbo's decoding" if store.manifest.encoding == "jpeg" else "copying the stored bytes"

    def limit() -> tuple[float, float]:
        return _in_threads(rows, store.side_px, store.pixels)

    return work, name, limit


def _in_threads(items: Sequence[int], side_px: int, work: Callable[[int, np.ndarray], object]) -> tuple[float, float]:
    """Every item once, in as many threads as a feed has workers, each with a buffer of its own."""
    threads = default_workers()

    def share(mine: Sequence[int]) -> None:
        out = np.empty((side_px, side_px, 3), dtype=np.uint8)
        for item in mine:
            work(item, out)

    started = perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(share, [items[i::threads] for i in range(threads)]))
    return len(items), perf_counter() - started


def step_work(recipe: Recipe, device: Device, updates: int) -> Work:
    """Whole updates on one batch that is on the device: crops, forward, backward, and the rule of §5."""
    work = _updates(build(recipe.network, seed=0), recipe, device, updates, ProcessGroup())
    return work, "the processor's matrix products", _products(recipe, device, FORWARD_AND_BACK)


def towers_work(recipe: Recipe, device: Device, updates: int, group: ProcessGroup) -> tuple[Work, Traffic]:
    """The same updates in processes that share the towers, beside the same without any word between them."""
    silent = SilentTowers(group.towers.rank, group.towers.processes)
    model, cut = (build(recipe.network, seed=0).held_by(held) for held in (group.towers, silent))
    work = _updates(model, recipe, device, updates, group)
    limit = _updates(cut, recipe, device, updates, ProcessGroup())
    with torch.no_grad(), device.autocast(recipe.training):
        cut(_crops(recipe, device, 1), cut.draw_masks(1, key_of_step=0))
    traffic, silent.traffic = silent.traffic, Traffic()
    return (_together(work, group), "the same without communication", _together(limit, group)), traffic


def _together(work: Round, group: ProcessGroup) -> Round:
    """The work of all processes, which is done when the slowest has done it."""

    def all_work() -> tuple[float, float]:
        group.barrier()
        started = perf_counter()
        amount, _ = work()
        group.barrier()
        return amount, perf_counter() - started

    return all_work


def _updates(model: AlexNet, recipe: Recipe, device: Device, updates: int, group: ProcessGroup) -> Round:
    """So many updates of a network on one batch that is on the device."""
    network, training = recipe.network, recipe.training
    model = model.to(device.torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward, gradients = device.compiled(model), Gradients(model, group)
    momentum = Momentum(model, training, compiles=device.compiles)
    rates = rates_at(training, network.stages, epoch=1, errors=())
    crops = _crops(recipe, device, training.batch)
    labels = torch.arange(training.batch, device=device.torch_device) % network.classes

    def work() -> tuple[float, float]:
        started = perf_counter()
        for step in range(updates):
            masks = model.draw_masks(training.batch, key_of_step=step)
            with device.autocast(training):
                logits = forward(crops, masks)
            F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
            gradients.wait()
            momentum.step(rates)
        device.synchronize()
        return updates * training.batch, perf_counter() - started

    return work


def evaluate_work(recipe: Recipe, device: Device, batches: int) -> Work:
    """Ten crops of every image of a batch, averaged."""
    model = build(recipe.network, seed=0).to(device.torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    stored_px = recipe.augmentation.stored_px
    forward = device.compiled(model)
    side = (recipe.training.batch, 3, stored_px, stored_px)
    crops = torch.randint(0, 256, side, dtype=torch.uint8, device=device.torch_device)
    pixels = Pixels(torch.full(side[1:], 120.0), torch.ones(3), torch.eye(3)).to(device.torch_device)

    @torch.no_grad()
    def work() -> tuple[float, float]:
        started = perf_counter()
        for _ in range(batches):
            for crop in evaluation_crops(
                crops, crops="ten", side_px=recipe.network.input_px, pixels=pixels, augmentation=recipe.augmentation
            ):
                with device.autocast(recipe.training):
                    forward(crop).float().softmax(1)
        device.synchronize()
        return batches * len(crops), perf_counter() - started

    return work, "the processor's matrix products", _products(recipe, device, TEN_CROPS)


def _crops(recipe: Recipe, device: Device, batch: int) -> torch.Tensor:
    side_px = recipe.network.input_px
    crops = torch.randn(batch, 3, side_px, side_px, device=device.torch_device).mul_(60)
    return crops.contiguous(memory_format=torch.channels_last)


def _products(recipe: Recipe, device: Device, passes: int) -> Round:
    """Images a second if a machine did nothing but one great matrix product in the recipe's number format."""
    dtype = torch.bfloat16 if recipe.training.precision == "bf16" else torch.float32
    side = 8192 if device.torch_device.type == "cuda" else 2048
    left = torch.randn(side, side, device=device.torch_device).to(dtype)
    flop_an_image = 2 * passes * recipe.network.macs

    def limit() -> tuple[float, float]:
        started = perf_counter()
        for _ in range(PRODUCTS):
            left @ left
        device.synchronize()
        return PRODUCTS * 2 * side**3 / flop_an_image, perf_counter() - started

    return limit


def prepare_work(store: Store) -> Work:
    """Photographs of an ordinary size, made of the store's images, to stored squares, one after the other."""
    photos = [_photo(store, row) for row in islice(cycle(range(len(store))), PHOTOS)]

    def work() -> tuple[float, float]:
        started = perf_counter()
        for photo in photos:
            encode(square(decode(photo).pixels))
        return len(photos), perf_counter() - started

    def limit() -> tuple[float, float]:
        started = perf_counter()
        for photo in photos:
            decode(photo)
        return len(photos), perf_counter() - started

    return work, "decoding alone, in one thread", limit


def _photo(store: Store, row: int) -> bytes:
    out = np.empty((store.side_px, store.side_px, 3), dtype=np.uint8)
    store.pixels(row, out)
    planes = torch.from_numpy(out).permute(2, 0, 1)[None].float()
    large = F.interpolate(planes, PHOTO_PX, mode="bicubic", antialias=True).clamp(0, 255).byte()
    return encode(np.ascontiguousarray(large[0].permute(1, 2, 0).numpy()))
