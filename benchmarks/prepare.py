"""Photographs to stored 256×256 JPEG, ours beside other pipelines that do the same job, in one thread.

python benchmarks/prepare.py PHOTOS [ROUNDS]     PHOTOS: a folder of JPEG files; OpenCV joins in where it is installed

Images per CPU-second, rounds interleaved, medians, ratios of the same round.
"""

import io
import platform
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median

import numpy as np
import PIL
import simplejpeg
import torch
import torchvision
from PIL import Image
from torchvision.transforms import v2

from alexrepro.data.decode import decode, decode_square, encode, square
from alexrepro.data.statistics import Moments

SIDE = 256
Pipeline = Callable[[bytes], object]


def ours(data: bytes) -> bytes:
    return encode(square(decode(data).pixels))


def pillow_pixels(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as opened:
        image = opened.convert("RGB")
    width, height = image.size
    scale = SIDE / min(width, height)
    size = round(width * scale), round(height * scale)
    image = image.resize(size, Image.Resampling.BILINEAR if scale < 1 else Image.Resampling.BICUBIC)
    left, top = (size[0] - SIDE) // 2, (size[1] - SIDE) // 2
    return image.crop((left, top, left + SIDE, top + SIDE))


def pillow(data: bytes) -> bytes:
    out = io.BytesIO()
    pillow_pixels(data).save(out, "JPEG", quality=95, subsampling="4:2:0")
    return out.getvalue()


def torchvision_v2(data: bytes) -> object:
    image = torchvision.io.decode_jpeg(torch.frombuffer(data, dtype=torch.uint8), torchvision.io.ImageReadMode.RGB)
    image = v2.functional.center_crop(v2.functional.resize(image, [SIDE], antialias=True), [SIDE, SIDE])
    return torchvision.io.encode_jpeg(image, quality=95)


def opencv() -> Pipeline | None:
    try:
        cv2 = import_module("cv2")
    except ImportError:
        return None
    cv2.setNumThreads(1)

    def pipeline(data: bytes) -> object:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        height, width = image.shape[:2]
        scale = SIDE / min(width, height)
        size = round(width * scale), round(height * scale)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        left, top = (size[0] - SIDE) // 2, (size[1] - SIDE) // 2
        return cv2.imencode(".jpg", image[top : top + SIDE, left : left + SIDE], [cv2.IMWRITE_JPEG_QUALITY, 95])

    return pipeline


def statistics_of(stored: list[bytes]) -> Pipeline:
    """The part of a pass that decodes what was stored and sums it; called once per photograph, in order."""
    moments, out, turn = Moments(), np.empty((SIDE, SIDE, 3), np.uint8), iter(stored * 1000)

    def pipeline(_: bytes) -> None:
        decode_square(next(turn), out)
        moments.add(out)

    return pipeline


def sums_of(stored: list[bytes]) -> Pipeline:
    moments, out = Moments(), np.empty((SIDE, SIDE, 3), np.uint8)
    decode_square(stored[0], out)
    return lambda _: moments.add(out)


def rate(pipeline: Pipeline, photos: list[bytes]) -> float:
    started = time.process_time()
    for data in photos:
        pipeline(data)
    return len(photos) / (time.process_time() - started)


def main(folder: Path, rounds: int) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # torchvision announces the end of its codecs
    photos = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.suffix.upper() in (".JPEG", ".JPG")]
    stored = [ours(data) for data in photos]
    pipelines: dict[str, Pipeline | None] = {
        "ours": ours,
        "Pillow": pillow,
        "torchvision v2": torchvision_v2,
        "OpenCV": opencv(),
        "statistics: decode what was stored, and sum": statistics_of(stored),
        "statistics: the sums alone": sums_of(stored),
    }
    running = {name: pipeline for name, pipeline in pipelines.items() if pipeline}
    rates: dict[str, list[float]] = {name: [] for name in running}
    for number in range(rounds + 1):
        order = list(running) if number % 2 else list(reversed(running))
        found = {name: rate(running[name], photos) for name in order}
        for name, value in found.items() if number else ():  # the first round warms up
            rates[name].append(value)
    print("| pipeline | images per CPU-second | ratio to Pillow |\n| --- | --- | --- |")
    for name, values in rates.items():
        ratio = median(a / b for a, b in zip(values, rates["Pillow"], strict=True))
        print(f"| {name} | {median(values):.0f} | {ratio:.2f} |")
    differences = [
        np.abs(square(decode(d).pixels).astype(int) - np.asarray(pillow_pixels(d)).astype(int)).mean() for d in photos
    ]
    print(f"\nMean absolute difference from Pillow's pixels before encoding: {np.mean(differences):.4f} gray levels")
    print(
        f"{len(photos)} photographs, {rounds} rounds; Python {platform.python_version()}, torch {torch.__version__}, "
        f"torchvision {torchvision.__version__}, Pillow {PIL.__version__}, simplejpeg {simplejpeg.__version__}, "
        f"OpenCV {'not run' if 'OpenCV' not in running else import_module('cv2').__version__}, pillow-simd not run"
    )


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5)
