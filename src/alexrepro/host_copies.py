"""Copies from a device to host memory that a GPU makes while this process goes on, and moments in its work."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor


class Moment:
    """When a device has done all the work that it has been given so far; on a CPU, now."""

    def __init__(self, device: torch.device) -> None:
        self._now = time.monotonic()
        self._event: torch.Event | None = None
        if device.type != "cpu":
            self._event = torch.Event(device, enable_timing=True)
            self._event.record()

    def wait(self) -> None:
        """Wait until it has come, not for later work."""
        if self._event is not None:
            self._event.synchronize()

    def seconds_since(self, earlier: "Moment") -> float:
        """Seconds between two moments that have come."""
        if self._event is None or earlier._event is None:
            return self._now - earlier._now
        return earlier._event.elapsed_time(self._event) / 1_000


def host_copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Copies of tensors as they are now, in host memory; those of a GPU are complete at its next `Moment`."""
    copies = [torch.empty_like(each, device="cpu", pin_memory=each.device.type != "cpu") for each in tensors]
    for copy, tensor in zip(copies, tensors, strict=True):
        copy.copy_(tensor.detach(), non_blocking=True)
    return copies
