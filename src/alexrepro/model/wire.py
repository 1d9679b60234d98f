"""The wire between towers: how a stage that reads both towers gets the maps it does not hold (§3.2).

A process holds all towers (`Alone`) or some of them; the network asks its wire and does not know which.
"""

from typing import Protocol

from torch import Tensor


class Wire(Protocol):
    """What a network asks of the connection between its towers."""

    def join(self, maps: Tensor) -> Tensor:
        """All towers' maps, from the maps held here: (B, C·t/T, ...) -> (B, C, ...)."""

    def collect(self, logits: Tensor) -> Tensor:
        """All classes' logits, from the classes computed here: (B, K·t/T) -> (B, K)."""


class Alone:
    """Every tower lives in this process, so there is nothing to fetch."""

    def join(self, maps: Tensor) -> Tensor:
        """The maps themselves."""
        return maps

    def collect(self, logits: Tensor) -> Tensor:
        """The logits themselves."""
        return logits
