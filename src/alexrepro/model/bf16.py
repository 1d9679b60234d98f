"""Products in bf16: by torch's autocast, and on a CPU without kernels for bf16 by way of float32.

On such a CPU operands are rounded to bf16, multiplied and added in float32, and the results rounded to bf16; only the
order of the sums differs from that of bf16 kernels. Torch's own loops for this case are many times slower.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

PRODUCTS = frozenset({F.conv2d, F.linear, torch.baddbmm})  # all that the networks compute


@contextmanager
def autocast(kind: str, *, is_bf16: bool) -> Iterator[None]:
    """The context in which a device of this kind computes products in bf16; if not is_bf16, in float32."""
    with (
        torch.autocast(kind, torch.bfloat16, enabled=is_bf16, cache_enabled=False),  # recorded work casts weights anew
        fast_bf16(kind) if is_bf16 else nullcontext(),
    ):
        yield


def fast_bf16(kind: str) -> AbstractContextManager[object]:
    """The context in which a device of this kind is fast at what is in bf16, by itself or emulated."""
    return EmulatedBf16() if kind == "cpu" and not has_bf16_kernels() else nullcontext()


def has_bf16_kernels() -> bool:
    """Whether torch's library of CPU kernels multiplies bf16 on this CPU."""
    is_there = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(is_there and torch.ops.mkldnn._is_mkldnn_bf16_supported())


class EmulatedBf16(TorchFunctionMode):
    """Compute bf16 products, those of autocast included, in float32; backward rounds the gradients alike."""

    def __torch_function__(
        self, function: Callable[..., Any], _: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call the function; a product in bf16 gets operands of float32 with the values of bf16."""
        kwargs = kwargs or {}
        if function not in PRODUCTS:
            return function(*args, **kwargs)
        formats = {value.dtype for value in args if isinstance(value, Tensor)}
        if torch.bfloat16 not in formats and (formats != {torch.float32} or not torch.is_autocast_enabled("cpu")):
            return function(*args, **kwargs)
        operands = [value.bfloat16().float() if isinstance(value, Tensor) else value for value in args]
        with torch.autocast("cpu", enabled=False):
            return function(*operands, **kwargs).bfloat16()
