"""bf16 products on any device: autocast's, or in float32 on a CPU whose kernels have none.

There, operands are rounded to bf16, multiplied and added in float32, and results rounded to bf16. Kernels for bf16 do
the same with sums in another order. Without them torch falls back on loops that are many times slower.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

PRODUCTS = frozenset({F.conv2d, F.linear, torch.baddbmm})  # all of ours


@contextmanager
def autocast(kind: str, *, is_bf16: bool) -> Iterator[None]:
    """The context in which a device of this kind multiplies bf16; or float32, whatever contexts are around it."""
    is_emulated = is_bf16 and kind == "cpu" and not has_bf16_kernels()
    with (
        torch.autocast(kind, torch.bfloat16, enabled=is_bf16, cache_enabled=False),  # recorded work casts weights anew
        EmulatedBf16() if is_emulated else nullcontext(),
    ):
        yield


def has_bf16_kernels() -> bool:
    """Whether torch's library of CPU kernels multiplies bf16 on this CPU."""
    is_there = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(is_there and torch.ops.mkldnn._is_mkldnn_bf16_supported())


class EmulatedBf16(TorchFunctionMode):
    """Within it, convolutions and full connections are those of bf16; backward rounds the gradients alike."""

    def __torch_function__(
        self, function: Callable[..., Any], _: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call the function; a product gets its operands by way of bf16."""
        kwargs = kwargs or {}
        if function not in PRODUCTS:
            return function(*args, **kwargs)
        operands = [value.bfloat16().float() if isinstance(value, Tensor) else value for value in args]
        with torch.autocast("cpu", enabled=False):
            return function(*operands, **kwargs).bfloat16()
