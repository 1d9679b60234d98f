"""An image of any shape -> the square that is stored (§2), by one of three rules.

Bilinear when shrinking and bicubic when enlarging, both antialiased: nearest to area and cubic in the author's later
tool (cuda-convnet2 make-data.py), whose sizes are rounded and offsets rounded down.
"""

import numpy as np

from alexrepro.data.store import torch_kernel
from alexrepro.data.store.decode import Pixels
from alexrepro.paper.training import STORED_PX, ResizeRule

MOST_ELONGATED = 16  # long side over short side; 3.4 is the greatest in a sample of 1,000 images
CANVAS_GRAY = 114  # the mean of ImageNet over all channels, rounded; the number of 2012 is not released (chosen)
FILTER = "torch uint8 antialias, bilinear to shrink and bicubic to enlarge"


def description(side_px: int, rule: ResizeRule) -> str:
    """The rule in words, for the manifest."""
    if rule == "stretch":
        return f"both sides {side_px} px, whatever the shape; {FILTER}"
    if rule == "pad":
        return f"long side {side_px} px, short side rounded half up; {FILTER}; in the middle of gray {CANVAS_GRAY}"
    return (
        f"short side {side_px} px, long side rounded half up; {FILTER}; central {side_px}x{side_px}, "
        "offsets rounded down"
    )


def resize(pixels: Pixels, side_px: int = STORED_PX, rule: ResizeRule = "crop") -> Pixels:
    """The square of an image: uint8 (H, W, 3) -> uint8 (S, S, 3), a new array.

    crop: the central square after the short side is resized to side_px (§2). stretch: both sides, whatever the shape
    (Caffe's examples). pad: the whole image, its long side resized to side_px, on a gray canvas
    (convdata_jpeg.py, networks on "full" images).
    """
    pixels = _without_far_ends(pixels)
    unit = max(pixels.shape[:2]) if rule == "pad" else min(pixels.shape[:2])
    height, width = (max(1, (2 * side * side_px + unit) // (2 * unit)) for side in pixels.shape[:2])
    if rule == "stretch":
        height, width = side_px, side_px
    image = pixels
    if (height, width) != pixels.shape[:2]:
        mode = "bicubic" if min(pixels.shape[:2]) < min(height, width) else "bilinear"
        image = torch_kernel.resized(pixels, (height, width), mode=mode)
    top, left = int((side_px - height) / 2), int((side_px - width) / 2)  # negative for what is cut off
    shown = image[max(-top, 0) : max(-top, 0) + side_px, max(-left, 0) : max(-left, 0) + side_px]
    if shown.shape[:2] == (side_px, side_px):
        return shown.copy()
    canvas = np.full((side_px, side_px, 3), CANVAS_GRAY, dtype=np.uint8)
    top, left = max(top, 0), max(left, 0)
    canvas[top : top + len(shown), left : left + shown.shape[1]] = shown
    return canvas


def _without_far_ends(pixels: Pixels) -> Pixels:
    """At most 16 times as long as wide, so that enlarging a line of pixels does not fill the memory."""
    height, width = pixels.shape[:2]
    longest = MOST_ELONGATED * min(height, width)
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    return pixels[top : top + longest, left : left + longest]
