"""Tensors side by side in one piece of memory, so that they travel to a device as one, and copies that do not wait."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

ALIGNED = 16  # bytes; kernels read as many at once


def pinned(tensor: Tensor) -> Tensor:
    """The tensor, or a copy of it, in memory from which a GPU copies without waiting."""
    return tensor if tensor.is_pinned() else tensor.pin_memory()


def pack(tensors: Sequence[Tensor], *, pin: bool = False) -> Tensor:
    """Copies of tensors, one after the other in new memory on the device of the first: uint8 (bytes,)."""
    packed = torch.empty(packed_bytes(tensors), dtype=torch.uint8, device=tensors[0].device, pin_memory=pin)
    for copy, tensor in zip(unpack(packed, tensors), tensors, strict=True):
        copy.copy_(tensor)
    return packed


def unpack(packed: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """The tensors in packed memory, as views of it, in the shapes and number formats of those that were packed."""
    starts = _starts(like)
    return [
        packed[start : start + tensor.nbytes].view(tensor.dtype).view(tensor.shape)
        for start, tensor in zip(starts, like, strict=False)
    ]


def packed_bytes(tensors: Sequence[Tensor]) -> int:
    """Bytes that tensors take when they are packed."""
    return _starts(tensors)[-1]


def _starts(tensors: Sequence[Tensor]) -> list[int]:
    """The byte at which each tensor begins in packed memory, where a GPU's kernels want it; and the end of the last."""
    return list(accumulate((-(-tensor.nbytes // ALIGNED) * ALIGNED for tensor in tensors), initial=0))
