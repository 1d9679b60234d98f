"""torch's antialiased resize of uint8 images, called through torch's C interface, without the rest of torch.

`import torch` takes 280 MB of memory and 1.4 s of a core in every process; its library of kernels alone takes 57 MB and
0.3 s. The kernel is the same, and so are the pixels. The interface is the one that torch keeps stable for extensions
(torch/csrc/stable/c/shim.h and aoti_torch/c/shim.h).
"""

import ctypes
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import as_strided

from alexrepro.data.store.decode import Pixels

INTERFACE = 0x020B << 48  # of torch 2.11, the oldest version that is supported
LIBRARY = "libtorch_cpu.dylib" if sys.platform == "darwin" else "libtorch_cpu.so"
HEIGHT, WIDTH, COLOR = 2, 3, 1  # axes of (N, C, H, W)


def torch_folder() -> Path:
    """Where torch is installed; imports nothing of it."""
    spec = find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@cache
def library() -> ctypes.CDLL:
    """The library of kernels."""
    return ctypes.CDLL(str(torch_folder() / "lib" / LIBRARY))


def resized(pixels: Pixels, size: tuple[int, int], *, mode: str) -> Pixels:
    """The image with these sides, uint8 (H, W, 3), as `interpolate` of torch makes it in channels-last memory.

    mode: bilinear or bicubic. pixels: uint8 (H, W, 3) in memory of rows; each pixel's colors are next to each other.
    """
    kernels, image, sides = library(), ctypes.c_void_p(), ctypes.c_void_p()
    height, width, colors = pixels.shape
    row, pixel, color = pixels.strides
    shape, strides = (
        (ctypes.c_int64 * 4)(1, colors, height, width),
        (ctypes.c_int64 * 4)(height * row, color, row, pixel),
    )
    data, uint8, cpu = ctypes.c_void_p(pixels.ctypes.data), kernels.aoti_torch_dtype_uint8(), 0
    _check(kernels.aoti_torch_create_tensor_from_blob(
        data, ctypes.c_int64(4), shape, strides, ctypes.c_int64(0), uint8, cpu, -1, ctypes.byref(image)
    ))  # fmt: skip
    _check(kernels.torch_new_list_reserve_size(ctypes.c_size_t(2), ctypes.byref(sides)))
    for side in size:
        _check(kernels.torch_list_push_back(sides, ctypes.c_uint64(side)))
    stack = (ctypes.c_uint64 * 5)(
        image.value or 0, sides.value or 0
    )  # then align_corners, False, and both scales, None
    operator = f"aten::_upsample_{mode}2d_aa".encode()
    _check(
        kernels.torch_call_dispatcher(operator, b"", stack, ctypes.c_uint64(INTERFACE))
    )  # takes what is on the stack
    found = ctypes.c_void_p(stack[0])
    try:
        return _copy(found, size)
    finally:
        _check(kernels.aoti_torch_delete_tensor_object(found))


def _copy(tensor: ctypes.c_void_p, size: tuple[int, int]) -> Pixels:
    """The pixels of a tensor (1, 3, H, W), uint8 (H, W, 3)."""
    data, strides = ctypes.c_void_p(), ctypes.POINTER(ctypes.c_int64)()
    _check(library().aoti_torch_get_data_ptr(tensor, ctypes.byref(data)))
    _check(library().aoti_torch_get_strides(tensor, ctypes.byref(strides)))
    assert data.value is not None
    memory = (ctypes.c_uint8 * (3 * size[0] * size[1])).from_address(data.value)
    order = (strides[HEIGHT], strides[WIDTH], strides[COLOR])
    return as_strided(np.frombuffer(memoryview(memory).cast("B"), dtype=np.uint8), (*size, 3), order).copy()


def _check(code: int) -> None:
    if code:
        raise RuntimeError("torch's kernels refused a call; the reason is on stderr")
