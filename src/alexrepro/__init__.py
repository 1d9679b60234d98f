"""Reproduction of the 2012 AlexNet paper: network, training, tables and figures.

The names in `__all__` are the public interface (docs/reference/python-api.md). They are loaded on first use, so the
command line starts without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alexrepro.api import (
        AlexNet,
        Evaluation,
        Recipe,
        StoredImages,
        Trained,
        UserError,
        build,
        evaluations,
        load,
        open_store,
        recipe,
        report,
    )  # fmt: skip
else:

    def __getattr__(name: str) -> object:
        """A public name, from `alexrepro.api`."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module("alexrepro.api"), name)


__version__ = "0.1.0"
__all__ = [
    "AlexNet", "Evaluation", "Recipe", "StoredImages", "Trained", "UserError", "build", "evaluations", "load",
    "open_store", "recipe", "report",
]  # fmt: skip


def __dir__() -> list[str]:
    """The public names, for completion in a notebook."""
    return [*__all__, "__version__"]
