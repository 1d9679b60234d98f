"""Where a run computes: device and number format. Changes the time a run takes, never what is computed."""

import os
import platform
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

from alexrepro.errors import Exit, Refusal
from alexrepro.paper.training import Training


@dataclass(frozen=True)
class Machine:
    """One device and the processor threads beside it."""

    device: torch.device

    def arithmetic(self, training: Training) -> AbstractContextManager[Any]:
        """The context in which the network computes: float32 throughout, or bf16 with float32 weights."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=training.precision == "bf16")

    def facts(self) -> dict[str, Any]:
        """What the environment file of a run records about the machine."""
        on_gpu = self.device.type == "cuda"
        return {
            "device": torch.cuda.get_device_name(self.device) if on_gpu else "cpu",
            "torch": torch.__version__,
            "cuda": torch.version.cuda if on_gpu else None,
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "processors": os.cpu_count(),
        }


def find_machine(device: str = "auto") -> Machine:
    """The machine for `--device`: auto takes a GPU if there is one.

    Turns TF32 off, so that float32 means float32. Raises Refusal when the device is not there.
    """
    name = device if device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
        if found.type == "cuda" and not torch.cuda.is_available():
            raise RuntimeError("torch sees no CUDA device")
        if found.type not in ("cpu", "cuda"):
            raise RuntimeError("only cpu and cuda are supported")
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise Refusal(
            f"The device {name} cannot be used: {reason}.", fix="Use --device cpu.", exit_code=Exit.NO_DEVICE
        ) from None
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return Machine(found)
