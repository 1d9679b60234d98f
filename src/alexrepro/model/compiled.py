"""Functions that torch compiles where it can, and that run uncompiled where it cannot."""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, Generic, ParamSpec, TypeVar

import torch
from torch import Tensor

from alexrepro.errors import first_line
from alexrepro.progress import say
from alexrepro.stop_signals import signals_blocked

P = ParamSpec("P")
T = TypeVar("T")

COMPILED_FROM_CROPS = 20_000  # half a minute of compiling; 6 ms of a core saved per crop of the full-width network
SIZES = 64  # for which one program may compile a function, since it may train many networks


class Compiled(Generic[P, T]):
    """A function that is compiled at its first call for each size of its tensors; `plain` is the function itself.

    If the compiler fails, one warning says so, and `plain` is called from then on.
    """

    def __init__(self, plain: Callable[P, T]) -> None:
        self.plain = plain
        self.works = True
        self._compiled: Callable[P, T] | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the compiled function; within a larger function that is being compiled, it becomes part of that."""
        if torch.compiler.is_compiling() or not self.works:
            return self.plain(*args, **kwargs)
        compiler = _loaded()
        if isinstance(compiler, Exception):
            return self._give_up(compiler)(*args, **kwargs)
        try:
            if self._compiled is None:
                self._compiled = torch.compile(self.plain, dynamic=False)
            with signals_blocked():  # a compiler that Ctrl-C ends would leave the run rounding otherwise
                return self._compiled(*args, **kwargs)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # of the compiler, its cache folder, Triton or a driver
            return self._give_up(error)(*args, **kwargs)

    def _give_up(self, error: Exception) -> Callable[P, T]:
        self.works = False
        say(f"Not compiled, so slower: {first_line(error)}.")
        return self.plain


def any_length(*tensors: Tensor) -> None:
    """Let one compiled form serve any size of the first dimension of these tensors."""
    if torch.compiler.is_compiling():
        return
    compiler = _loaded()
    if not isinstance(compiler, Exception):
        for tensor in tensors:
            compiler.maybe_mark_dynamic(tensor, 0)


def can_compile(device: torch.device) -> bool:
    """Whether a small function can be compiled for a device; says why not."""
    small = Compiled(torch.square)
    small(torch.ones(2, device=device))
    return small.works


def is_worth_compiling(crops: int) -> bool:
    """Whether training on this number of crops, over all epochs, takes longer than compiling."""
    return crops >= COMPILED_FROM_CROPS


@cache
def _loaded() -> Any:
    """Torch's compiler, loaded in a second when first needed, or why it cannot be loaded."""
    try:
        from torch import _dynamo as compiler
    except Exception as error:
        return error
    compiler.config.recompile_limit = SIZES
    # The cache on disk does not ask for which CPU code was written: with AVX-512's in a folder that machines share, one
    # that has only AVX2 computed wrong values, and the other way round the process died.
    torch.compiler.config.cache_key_tag += torch.backends.cpu.get_cpu_capability()
    warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf")  # the compiler reads it
    warnings.filterwarnings("ignore", r"\s*Online softmax is disabled")  # of Inductor in torch 2.11, for small losses
    return compiler
