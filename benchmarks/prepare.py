"""Images to stored 256×256 JPEG: our pipeline and others that do the same, in one thread.

python benchmarks/prepare.py IMAGES [--rounds 7] [--simd PYTHON]

IMAGES is a folder of JPEG files; PYTHON the interpreter of an environment where `make simd` was run. OpenCV is measured
where it is installed. Images per CPU-second, rounds interleaved, medians, ratios within a round.
"""

import argparse
import io
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from itertools import cycle
from pathlib import Path
from statistics import median

import numpy as np
import PIL
import simplejpeg
import torch
import torchvision
from PIL import Image
from torchvision.transforms import v2

from alexrepro.data.store.decode import decode, decode_stored, encode
from alexrepro.data.store.resize import resize
from alexrepro.data.store.statistics import Moments

SIDE = 256
Pipeline = Callable[[bytes], object]
Rate = Callable[[], float]
OTHER = "other-interpreter"  # the first argument when another interpreter runs this program to measure its Pillow


def ours(data: bytes) -> bytes:
    return encode(resize(decode(data)[0]))


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
    """The part of a pass that decodes stored images and sums them; called once per image, in order."""
    moments, out, turn = Moments.none(), np.empty((SIDE, SIDE, 3), np.uint8), cycle(stored)

    def pipeline(_: bytes) -> None:
        decode_stored(next(turn), out)
        moments.add(out)

    return pipeline


def sums_of(stored: list[bytes]) -> Pipeline:
    moments, out = Moments.none(), np.empty((SIDE, SIDE, 3), np.uint8)
    decode_stored(stored[0], out)
    return lambda _: moments.add(out)


def rate(pipeline: Pipeline, images: list[bytes]) -> float:
    started = time.process_time()
    for data in images:
        pipeline(data)
    return len(images) / (time.process_time() - started)


def images_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.rglob("*")) if path.suffix.upper() in (".JPEG", ".JPG")]


def rate_of_another_pillow(python: str, folder: Path) -> tuple[str, Rate]:
    """The version of Pillow in another environment, and a function that measures a round there."""
    worker = subprocess.Popen(
        [python, __file__, OTHER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    ask, answer = worker.stdin, worker.stdout
    assert ask is not None and answer is not None  # noqa: PT018

    def measured() -> float:
        print("once", file=ask, flush=True)
        return float(answer.readline())

    return answer.readline().strip(), measured


def answer_another_interpreter(folder: Path) -> None:
    images = images_in(folder)
    print(PIL.__version__, flush=True)
    for _ in sys.stdin:
        print(rate(pillow, images), flush=True)


def alternated(rates: dict[str, Rate], rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in rates}
    for number in range(rounds + 1):
        for name in list(rates) if number % 2 else reversed(rates):
            value = rates[name]()
            if number:  # the first round warms up
                found[name].append(value)
    return found


def main(folder: Path, rounds: int, simd: str | None) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # torchvision deprecates its codecs
    images = images_in(folder)
    stored = [ours(data) for data in images]
    pipelines: dict[str, Pipeline | None] = {
        "ours": ours,
        "Pillow": pillow,
        "torchvision v2": torchvision_v2,
        "OpenCV": opencv(),
        "statistics: decode stored images, and sum": statistics_of(stored),
        "statistics: only the sums": sums_of(stored),
    }
    rates: dict[str, Rate] = {
        name: (lambda pipeline=pipeline: rate(pipeline, images)) for name, pipeline in pipelines.items() if pipeline
    }
    simd_version = "not run"
    if simd:
        simd_version, rates["pillow-simd"] = rate_of_another_pillow(simd, folder)
    found = alternated(rates, rounds)
    print("| pipeline | images per CPU-second | ratio to Pillow |\n| --- | --- | --- |")
    for name, values in found.items():
        ratio = median(a / b for a, b in zip(values, found["Pillow"], strict=True))
        print(f"| {name} | {median(values):.0f} | {ratio:.2f} |")
    differences = [
        np.abs(resize(decode(d)[0]).astype(int) - np.asarray(pillow_pixels(d)).astype(int)).mean() for d in images
    ]
    print(f"\nMean absolute difference from Pillow's pixels before encoding: {np.mean(differences):.4f} gray levels")
    print(
        f"{len(images)} images, {rounds} rounds; Python {platform.python_version()}, torch {torch.__version__}, "
        f"torchvision {torchvision.__version__}, Pillow {PIL.__version__}, pillow-simd {simd_version}, "
        f"simplejpeg {simplejpeg.__version__}, "
        f"OpenCV {'not run' if 'OpenCV' not in rates else import_module('cv2').__version__}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == [OTHER]:
        answer_another_interpreter(Path(sys.argv[2]))
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--simd", metavar="PYTHON")
    given = parser.parse_args()
    main(given.images, given.rounds, given.simd)
