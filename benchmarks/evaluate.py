"""The cost of ten crops relative to one: seconds per image from a store to counts, alternating.

python benchmarks/evaluate.py STORE [--recipe as-run-2012] [--images 256] [--rounds 5] [--no-compile]

Both are computed as in `alexrepro evaluate`, with random weights. CPU-seconds are shown, too, since other programs may
be running. The ratio is the median of the ratios within a round.
"""

import argparse
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch

from alexrepro.data.loading.crops import Pixels
from alexrepro.data.store.store import Store
from alexrepro.device import Device, find_device
from alexrepro.evaluation.inference import EvaluationJob, Model, scored_batches
from alexrepro.evaluation.recorded_network import recorded
from alexrepro.model.alexnet import build
from alexrepro.paper.results import Crops
from alexrepro.recipes.catalog import catalog

KINDS: tuple[Crops, ...] = ("center", "ten")


class Part(Store):
    """The first images of a store."""

    def __init__(self, store: Store, images: int) -> None:
        super().__init__(store.path, store.manifest)
        self.images = min(images, len(store))

    def __len__(self) -> int:
        return self.images


def spent(model: Model, store: Store, crops: Crops, device: Device) -> tuple[float, float]:
    """Seconds, and CPU-seconds of all threads."""
    usage, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    job = EvaluationJob([model], store, crops, device, title=crops)
    assert sum(len(found.batch) for found in scored_batches(job)) == len(store)
    now = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter() - started, now.ru_utime + now.ru_stime - usage.ru_utime - usage.ru_stime


def rounds(model: Model, store: Store, device: Device, count: int) -> Iterator[dict[Crops, tuple[float, float]]]:
    for crops in KINDS:
        spent(model, store, crops, device)  # warms up caches, threads and compilers
    for _ in range(count):
        yield {crops: spent(model, store, crops, device) for crops in KINDS}


def main(asked: argparse.Namespace) -> None:
    store = Part(Store.open(asked.store), asked.images)
    recipe = catalog()[asked.recipe].recipe.for_classes(len(store.manifest.classes))
    recipe = recipe.but({"training.precision": asked.precision})
    device = find_device(asked.device, compiles=not asked.no_compile)
    network = build(recipe.network, seed=0).to(device.torch_device, memory_format=torch.channels_last)
    gray = torch.full((3, store.side_px, store.side_px), 120.0)
    pixels = Pixels(gray, torch.ones(3), torch.eye(3)).to(device.torch_device)
    model = Model(recorded(network, device), recipe, pixels)
    found = list(rounds(model, store, device, asked.rounds))
    print("| | center | ten crops | ten / center |\n| --- | --- | --- | --- |")
    for number, name in enumerate(("seconds", "CPU-seconds")):
        one, ten = (median(one[crops][number] for one in found) / len(store) for crops in KINDS)
        ratio = median(one["ten"][number] / one["center"][number] for one in found)
        print(f"| thousandths of {name} per image | {1000 * one:.2f} | {1000 * ten:.2f} | {ratio:.2f} |")
    print(
        f"\n{recipe.name}, {recipe.training.precision}, {len(store)} images of {store.path.name}, {asked.rounds} "
        f"rounds; torch {torch.__version__}, {device.facts()['device']}, compiled: {device.compiles}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--recipe", default="as-run-2012")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-compile", action="store_true")
    main(parser.parse_args())
