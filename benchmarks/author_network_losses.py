"""The first three mean losses of the author's own later network, on random labels and images with natural statistics.

python benchmarks/author_network_losses.py [--seeds 3] [--precision float32]   (72 updates a seed: 9,216 images)

cuda-convnet2 prints the mean loss of each of its files of 3,072 images, which are 24 updates. How a network begins
depends on its initial weights, biases and rates and on the size and smoothness of the pixels, and hardly on what the
images show. So the images here are noise with a spectrum of 1/f, with the color channels correlated and the deviation
of photographs, and labels are drawn at random: nothing can be learned, only the offset of the start can be unlearned.
"""

import argparse
from statistics import fmean
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor

from alexrepro.device import find_device
from alexrepro.keys import key
from alexrepro.model.alexnet import build
from alexrepro.recipes.catalog import find_recipe
from alexrepro.training.optimizer import make_optimizer

RECIPE = find_recipe("cuda-convnet2-1gpu")
FILES, UPDATES_OF_FILE = 3, 24  # make-data.py: 3,072 images a file
PIXEL_STD = 68.0  # gray levels, of ILSVRC's crops minus their mean image
SHARED = 0.9  # of the variance is that of all three channels, as the first component of photographs has


def natural_images(images: int, side_px: int, generator: torch.Generator) -> Tensor:
    """Noise of which the amplitude falls as 1/f: float32 (B, 3, S, S), with mean 0 and deviation PIXEL_STD."""
    noise = torch.randn(images, 4, side_px, side_px, generator=generator)
    frequency = torch.hypot(torch.fft.fftfreq(side_px)[:, None], torch.fft.rfftfreq(side_px)[None])
    frequency[0, 0] = frequency[0, 1]
    smooth = torch.fft.irfft2(torch.fft.rfft2(noise) / frequency, s=(side_px, side_px))
    smooth /= smooth.std()
    colored = SHARED**0.5 * smooth[:, :1] + (1 - SHARED) ** 0.5 * smooth[:, 1:]
    return PIXEL_STD * colored


def mean_losses(seed: int, *, device_name: str, precision: str) -> list[float]:
    """The mean loss of each file's updates, in nats."""
    device = find_device(device_name, compiles=False)
    recipe = RECIPE.but({"training.precision": precision})
    training, network = recipe.training, recipe.network
    model = device.with_fast_norms(build(network, seed=seed).to(device.torch_device, memory_format=torch.channels_last))
    optimizer, rates = make_optimizer(model, training), training.rates(network.stages, epoch=1)
    shift = recipe.augmentation.color_shift
    assert shift is not None
    losses: list[float] = []
    for update in range(FILES * UPDATES_OF_FILE):
        generator = torch.Generator().manual_seed(key(seed, "natural images", update))
        crops = natural_images(training.batch, network.input_px, generator).to(device.torch_device) / shift.divide_by
        labels = torch.randint(network.classes, (training.batch,), generator=generator).to(device.torch_device)
        masks = model.draw_masks(training.batch, key_of_step=key(seed, "dropout", update))
        with device.autocast(training):
            logits = model(crops, masks)
        loss = F.cross_entropy(logits.float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step(rates)
        losses.append(loss.item())
    return [fmean(losses[file * UPDATES_OF_FILE :][:UPDATES_OF_FILE]) for file in range(FILES)]


def main() -> None:
    """Print a line for each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="float32", choices=("float32", "tf32", "bf16"))
    asked = parser.parse_args()
    print(f"{RECIPE.name}-{RECIPE.digest}: mean losses of {UPDATES_OF_FILE} updates each")
    for seed in range(asked.seeds):
        started = perf_counter()
        losses = mean_losses(seed, device_name=asked.device, precision=asked.precision)
        shown = ", ".join(f"{loss:.4f}" for loss in losses)
        print(f"seed {seed}: {shown} ({perf_counter() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
