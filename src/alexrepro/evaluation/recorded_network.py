"""A network whose full batches take one launch of a GPU, as evaluations and validations compute it."""

from collections.abc import Callable

import torch
from torch import Tensor

from alexrepro.device import Device
from alexrepro.errors import first_line
from alexrepro.evaluation.inference import BATCH
from alexrepro.model.alexnet import AlexNet
from alexrepro.model.compiled import Compiled
from alexrepro.progress import say


class RecordedNetwork:
    """Maps crops to logits, without gradients; recorded at its first full batch, while others run plainly.

    It reads the weights where they are, so it stays valid while they learn. batch: images in a full batch.
    """

    def __init__(self, model: AlexNet, device: Device, *, batch: int) -> None:
        self._model, self._device, self._batch = model, device, batch
        self._replay: Callable[[], None] | None = None
        self._works = True

    @torch.no_grad()
    def __call__(self, crops: Tensor) -> Tensor:
        """Logits (B, K) of crops (B, 3, S, S), valid until the next call."""
        if len(crops) < self._batch or not self._works:
            return self._plain(crops)
        if self._replay is None:
            try:
                self._record(crops)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # of a compiler or a driver, which the plain network does not need
                say(f"Not recorded, so slower: {first_line(error)}.")
                self._works = False
                return self._plain(crops)
        assert self._replay is not None
        self._crops.copy_(crops)
        self._replay()
        return self._logits

    def _plain(self, crops: Tensor) -> Tensor:
        logits: Tensor = self._model(crops)
        return logits

    def _record(self, crops: Tensor) -> None:
        self._crops = crops.clone()
        self._logits = torch.empty_like(self._plain(crops))
        network = Compiled(self._plain)

        def work() -> None:
            self._logits.copy_(network(self._crops))

        self._replay = self._device.recorded(work)


def recorded(model: AlexNet, device: Device) -> Callable[[Tensor], Tensor]:
    """The function that computes a network for evaluation: recorded where functions are compiled for a GPU."""
    device.with_fast_norms(model)
    is_recorded = device.is_gpu and device.compiles and model.towers.processes == 1
    return RecordedNetwork(model, device, batch=BATCH) if is_recorded else model
