"""Towers that are sharded without communication, and count what would be sent."""

from dataclasses import dataclass

import torch

from alexrepro.model.tower_parallel import LocalTowers


@dataclass
class Traffic:
    """What one process sends to the others for one image, and the number of values gathered in all of them."""

    values: int = 0
    bytes_forward: int = 0
    bytes_back: int = 0


class SilentTowers(LocalTowers):
    """Sharded towers without communication: copies of the maps held here stand for those of the other processes.

    `traffic` counts what real ones would send.
    """

    def __init__(self, rank: int, processes: int) -> None:
        self.rank, self.processes = rank, processes
        self.traffic = Traffic()

    def all_gather_maps(self, maps: torch.Tensor) -> torch.Tensor:
        """The maps, once for each process."""
        self._count(maps, is_summed=True)
        return torch.cat([maps] * self.processes, dim=1)

    def gather_logits(self, logits: torch.Tensor) -> torch.Tensor:
        """The logits, once for each process; the others' slices of the gradient are not needed."""
        self._count(logits, is_summed=False)
        return torch.cat([logits, *[logits.detach()] * (self.processes - 1)], dim=1)

    def _count(self, maps: torch.Tensor, *, is_summed: bool) -> None:
        sent = maps[0].numel() * maps.element_size() * (self.processes - 1)
        self.traffic.values += maps[0].numel() * self.processes
        self.traffic.bytes_forward += sent
        self.traffic.bytes_back += sent * is_summed
