"""Draws one picture of a miniature class: an outline, or a patterned blob, on a cluttered background.

What tells the classes apart is form alone: colors are drawn anew for each picture, and no class is the mirror
image of another (training mirrors its images, §4.1). The planes use only + - * / √ and comparisons, which
IEEE 754 rounds alike on every machine.

Letters: H W pixels of the picture, h w pixels of the figure's box.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Plane = NDArray[np.floating[Any]]  # (h, w), float32
Color = NDArray[np.floating[Any]]  # (3,), red green blue, 0 to 255

SHORT_SIDE_PX = (150.0, 270.0, 420.0)  # least, most frequent, greatest
GREATEST_ASPECT = 2.0
LANDSCAPE_SHARE = 0.7
OUTLINE_SIZES = (0.6, 0.85)  # diameter over the short side
PATTERN_SIZES = (0.65, 0.85)
PATTERN_PERIODS_PX = (20.0, 34.0)  # where the short side is 256: the first layer's kernels are 11 wide (§3.5)
OVERHANG = 0.02  # of the short side: how far a figure may leave the central square
STRETCH = 1.15
BASE_LEVELS = (75.0, 180.0)  # of the background: between dark and light figures
LEAST_LUMA_GAP = 75.0  # of 255, between figure and background, and between the two colors of a pattern
NOISE = (4.0, 30.0)  # half width, in levels of 255, of uniform noise per pixel
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def draw(name: str, generator: Generator) -> NDArray[np.uint8]:
    """A picture of one of OUTLINES or PATTERNS, in random size, place, turn and colors: (H, W, 3)."""
    is_pattern = name in PATTERNS
    height, width = _size_px(generator)
    short = min(height, width)
    base = generator.uniform(*BASE_LEVELS, 3).astype(np.float32)
    paint = _contrasting(base, generator)
    picture = _background(height, width, base, generator)

    radius = short * generator.uniform(*(PATTERN_SIZES if is_pattern else OUTLINE_SIZES)) / 2
    slack = short * (0.5 + OVERHANG) - radius
    middle_y, middle_x = (height / 2 + generator.uniform(-slack, slack), width / 2 + generator.uniform(-slack, slack))
    rows = slice(max(0, math.floor(middle_y - radius)), min(height, math.ceil(middle_y + radius) + 1))
    columns = slice(max(0, math.floor(middle_x - radius)), min(width, math.ceil(middle_x + radius) + 1))
    y, x = np.ogrid[rows, columns]
    box_y, box_x = (y - middle_y).astype(np.float32), (x - middle_x).astype(np.float32)

    if is_pattern:
        mask = _coverage(_blob(box_x / radius, box_y / radius, generator), radius)
        period = short / 256 * generator.uniform(*PATTERN_PERIODS_PX)
        pattern, turn_deg = PATTERNS[name]
        turned_x, turned_y = _turned(box_x / period, box_y / period, turn_deg, generator)
        share = _coverage(pattern(turned_x, turned_y, generator), period)[..., None]
        fill = paint * share + _contrasting(paint, generator) * (1 - share)  # (h, w, 3)
    else:
        stretch = generator.uniform(1 / STRETCH, STRETCH)
        outline, turn_deg = OUTLINES[name]
        u, v = _turned(box_x / radius, box_y / radius, turn_deg, generator)
        mask = _coverage(outline(u * max(1, stretch), v * max(1, 1 / stretch)), radius)
        fill = paint * _shade(u, v, generator)[..., None]
    region = picture[rows, columns]
    region += mask[..., None] * (fill - region)

    noise = generator.integers(-128, 128, (height, width, 1), dtype=np.int8)
    picture += noise * (generator.uniform(*NOISE) / 128)
    return np.clip(picture, 0, 255, out=picture).astype(np.uint8)


def _size_px(generator: Generator) -> tuple[int, int]:
    """Height and width: most pictures are a little wider than tall, as photographs are."""
    short = round(generator.triangular(*SHORT_SIDE_PX))
    long = int(short * GREATEST_ASPECT ** (generator.random() ** 2))
    return (short, long) if generator.random() < LANDSCAPE_SHARE else (long, short)


def _contrasting(color: Color, generator: Generator) -> Color:
    """A random color whose luma differs enough from the given one to be seen in a gray picture too."""
    candidates = generator.uniform(0, 255, (32, 3)).astype(np.float32)
    gaps = np.abs(((candidates - color) * LUMA).sum(axis=1))
    chosen: Color = candidates[np.argmax(gaps >= LEAST_LUMA_GAP)]
    return chosen


def _background(height: int, width: int, base: Color, generator: Generator) -> NDArray[np.float32]:
    """A soft wash of colors around the base, with a few discs, boxes and strokes too small to be the figure."""
    wash = base + generator.uniform(-25, 25, (4, 4, 3))
    image = Image.fromarray(np.clip(wash, 0, 255).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    short = min(height, width)
    for _ in range(int(generator.integers(3, 10))):
        red, green, blue = np.clip(base + generator.uniform(-45, 45, 3), 0, 255).astype(int).tolist()
        left, top = generator.uniform(0, width), generator.uniform(0, height)
        across, down = generator.uniform(0.03, 0.16, 2) * short
        box = (left, top, left + across, top + down)
        form = generator.integers(3)
        if form == 0:
            pen.ellipse(box, fill=(red, green, blue))
        elif form == 1:
            pen.rectangle(box, fill=(red, green, blue))
        else:
            pen.line(box, fill=(red, green, blue), width=max(2, short // 60))
    return np.asarray(image, dtype=np.float32).copy()


def _turned(x: Plane, y: Plane, turn_deg: float, generator: Generator) -> tuple[Plane, Plane]:
    """Coordinates turned by up to turn_deg degrees either way."""
    angle = math.radians(generator.uniform(-turn_deg, turn_deg))
    cos, sin = math.cos(angle), math.sin(angle)
    return cos * x + sin * y, cos * y - sin * x


def _coverage(inside: Plane, unit_px: float) -> Plane:
    """The share of each pixel that lies inside, from the distance to the edge in units of unit_px pixels."""
    covered: Plane = np.clip(inside * unit_px + 0.5, 0, 1)
    return covered


def _shade(u: Plane, v: Plane, generator: Generator) -> Plane:
    """Light that falls a little stronger on one side of the figure."""
    toward_u, toward_v = generator.uniform(-0.2, 0.2, 2).astype(np.float32)
    light: Plane = toward_u * u + toward_v * v + 1
    return light


def _blob(u: Plane, v: Plane, generator: Generator) -> Plane:
    """A round form with two to four soft lobes: the outline of every pattern class."""
    r = np.sqrt(u * u + v * v) + 1e-6
    cos, sin = u / r, v / r
    cos_2, sin_2 = cos * cos - sin * sin, 2 * cos * sin
    cos_3, sin_3 = cos * cos_2 - sin * sin_2, sin * cos_2 + cos * sin_2
    a, b, c, d = generator.uniform(-0.09, 0.09, 4).astype(np.float32)
    inside: Plane = a * cos_2 + b * sin_2 + c * cos_3 + d * sin_3 + 0.85 - r
    return inside


def _radius(u: Plane, v: Plane) -> Plane:
    length: Plane = np.sqrt(u * u + v * v)
    return length


def _within(limit: float, distance: Plane) -> Plane:
    """How far the distance stays below the limit; negative beyond it."""
    inside: Plane = limit - distance
    return inside


def _wave(x: Plane) -> Plane:
    """Distance inside the band that covers half of each period; negative between bands."""
    return _within(0.25, _from_line(x))


def _from_line(x: Plane) -> Plane:
    """Distance to the nearest whole number, 0 to 0.5 periods."""
    distance: Plane = np.abs(x - np.rint(x))
    return distance


def _both(inside: Plane, also: Plane) -> Plane:
    common: Plane = np.minimum(inside, also)
    return common


def _either(inside: Plane, other: Plane) -> Plane:
    joined: Plane = np.maximum(inside, other)
    return joined


def _star(u: Plane, v: Plane) -> Plane:
    """Five points, folded onto half of one point by mirroring at the lines between points."""
    cos, sin = math.cos(math.radians(36)), math.sin(math.radians(36))
    u, v = np.abs(u), -v
    for toward_u, toward_v in ((cos, -sin), (-cos, -sin)):
        beyond = 2 * np.maximum(toward_u * u + toward_v * v, 0)
        u, v = u - toward_u * beyond, v - toward_v * beyond
    edge_u, edge_v = 0.45 * sin, 0.45 * cos - 1  # from the tip at (0, 1) to the notch, 0.45 from the middle
    return -(edge_u * (v - 1) - edge_v * np.abs(u)) / math.hypot(edge_u, edge_v)


def _cross(u: Plane, v: Plane) -> Plane:
    longer, shorter = _either(np.abs(u), np.abs(v)), _both(np.abs(u), np.abs(v))
    return _both(_within(0.92, longer), _within(0.26, shorter))


def _heart(u: Plane, v: Plane) -> Plane:
    """A square on its corner with a disc on each upper edge."""
    beside, edge = np.abs(u), 0.8 / math.sqrt(2)
    lozenge = (0.8 - beside - np.abs(v - 0.15)) / math.sqrt(2)
    return _either(lozenge, edge - _radius(beside - 0.4, v + 0.25))


def _arrow(u: Plane, v: Plane) -> Plane:
    head = _both(-v, (0.85 * (1 + v) - np.abs(u)) / math.hypot(1, 0.85))
    shaft = _both(0.26 - np.abs(u), 0.5 - np.abs(v - 0.4))
    return _either(head, shaft)


def _diagonal(x: Plane, y: Plane, generator: Generator) -> Plane:
    """Either slant: mirroring turns one into the other."""
    return _wave((x + y * generator.choice((-1, 1)).astype(np.float32)) * math.sqrt(0.5))


def _bricks(x: Plane, y: Plane, _: Generator) -> Plane:
    """Courses half a brick high, each shifted by half a brick of 1.4 periods."""
    x, y = x / 1.4, y / 1.4
    course = np.floor(2 * y)
    across = _from_line(x + course / 2)
    return _both(across, _from_line(2 * y) / 2) - 0.07


def _spots(x: Plane, y: Plane, generator: Generator) -> Plane:
    """Patches of no form, as on a cow: smooth noise above and below its mean."""
    cells = 2 + int(max(np.ptp(x), np.ptp(y)))
    coarse = Image.fromarray(generator.uniform(-1, 1, (cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize(x.shape[::-1], Image.Resampling.BICUBIC), dtype=np.float32) / 2


Outline = Callable[[Plane, Plane], Plane]  # of u v in radii, up to 1 from the middle
Pattern = Callable[[Plane, Plane, Generator], Plane]  # of x y in periods

# Each form with the greatest turn either way, in degrees.
OUTLINES: dict[str, tuple[Outline, float]] = {
    "disc": (lambda u, v: _within(1, _radius(u, v)), 25),
    "ring": (lambda u, v: _within(0.2, np.abs(_radius(u, v) - 0.8)), 25),
    "square": (lambda u, v: _within(0.74, _either(np.abs(u), np.abs(v))), 15),
    "frame": (lambda u, v: _within(0.16, np.abs(_either(np.abs(u), np.abs(v)) - 0.6)), 15),
    "triangle": (lambda u, v: _within(0.5, _either(v, math.sqrt(0.75) * np.abs(u) - 0.5 * v)), 25),
    "star": (_star, 25),
    "cross": (_cross, 15),
    "crescent": (lambda u, v: _both(_within(1, _radius(u, v)), _radius(u - 0.45, v) - 0.8), 25),
    "heart": (_heart, 25),
    "arrow": (_arrow, 25),
}
PATTERNS: dict[str, tuple[Pattern, float]] = {
    "horizontal stripes": (lambda _x, y, _: _wave(y), 12),
    "vertical stripes": (lambda x, _y, _: _wave(x), 12),
    "diagonal stripes": (_diagonal, 12),
    "zigzag": (lambda x, y, _: _wave(y + 2 * _from_line(x / 2)), 12),
    "checkerboard": (lambda x, y, _: 4 * _wave(x) * _wave(y), 15),
    "grid": (lambda x, y, _: _within(0.12, _both(_from_line(x), _from_line(y))), 15),
    "bricks": (_bricks, 12),
    "polka dots": (lambda x, y, _: _within(0.3, _radius(_from_line(x), _from_line(y))), 15),
    "target": (lambda x, y, _: _wave(_radius(x, y)), 0),
    "spots": (_spots, 0),
}
