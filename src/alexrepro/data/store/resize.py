"""An image of any shape -> the square that is stored (§2), by one of three rules.

Bilinear when shrinking and bicubic when enlarging, both antialiased: nearest to area and cubic in the author's later
tool (cuda-convnet2 make-data.py), whose sizes are rounded and offsets rounded down.
"""

import numpy as np
import torch
from torch import Tensor

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
    image = _resized(pixels, (height, width))
    top, left = int((side_px - height) / 2), int((side_px - width) / 2)  # negative for what is cut off
    edges = (left, side_px - width - left, top, side_px - height - top)
    return np.ascontiguousarray(torch.nn.functional.pad(image, edges, value=CANVAS_GRAY)[0].permute(1, 2, 0).numpy())


def _resized(pixels: Pixels, size: tuple[int, int]) -> Tensor:
    """The image with these sides, uint8 (1, 3, H, W) in channels-last memory."""
    # With all four strides those of "channels last", torch resizes interleaved colors without parting them.
    image = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)  # (H, W, 3) -> (1, H, W, 3) -> (1, 3, H, W)
    if size == pixels.shape[:2]:
        return image
    mode = "bicubic" if min(pixels.shape[:2]) < min(size) else "bilinear"
    return torch.nn.functional.interpolate(image, size, mode=mode, antialias=True, align_corners=False)


def _without_far_ends(pixels: Pixels) -> Pixels:
    """At most 16 times as long as wide, so that enlarging a line of pixels does not fill the memory."""
    height, width = pixels.shape[:2]
    longest = MOST_ELONGATED * min(height, width)
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    return pixels[top : top + longest, left : left + longest]
