"""The machine: GPU, driver, libraries, processors, and whether the GPU can read the loader's memory."""

import os
import platform
import re
import subprocess
from pathlib import Path

import numpy as np
import torch

from alexrepro import __version__
from alexrepro.processors import usable_processors
from benchmarks.gpu_check.page import table
from benchmarks.gpu_check.study import NOT_RUN, Facts, Study, reason

DRIVER, CPUS = Path("/proc/driver/nvidia/version"), Path("/proc/cpuinfo")
REGISTERED_BYTES = 2**24


def run(study: Study, facts: Facts) -> None:
    about = torch.cuda.get_device_properties(study.device)
    facts |= {
        "GPU": about.name,
        "GPUs": torch.cuda.device_count(),
        "compute capability": f"{about.major}.{about.minor}",
        "GPU memory, GiB": round(about.total_memory / 2**30, 1),
        "multiprocessors": about.multi_processor_count,
        "driver": driver(),
        "CUDA": torch.version.cuda,
        "cuDNN": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "torch": torch.__version__,
        "triton": _version("triton"),
        "torchvision": _version("torchvision"),
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "CPU": _cpu(),
        "CPU cores": f"{usable_processors()} usable of {os.cpu_count()}",
        "alexrepro": __version__,
        "commit": _commit(),
    }
    facts["cudaHostRegister"] = _registers()


def driver() -> str:
    """The version of the driver, as its file or nvidia-smi gives it."""
    found = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", DRIVER.read_text()) if DRIVER.exists() else None
    if found:
        return found[0]
    return _answer("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") or "unknown"


def _registers() -> str:
    memory = np.zeros(REGISTERED_BYTES, dtype=np.uint8)
    code = int(torch.cuda.cudart().cudaHostRegister(memory.ctypes.data, memory.nbytes, 0))  # type: ignore[no-untyped-call]
    if code:
        try:
            torch.zeros(1, device="cuda")  # the next launch reports the error once more
        except RuntimeError as error:
            return f"refused with code {code}; {reason(error)}"
        return f"refused with code {code}"
    torch.cuda.cudart().cudaHostUnregister(memory.ctypes.data)  # type: ignore[no-untyped-call]
    return "works"


def _version(module: str) -> str:
    try:
        return str(__import__(module).__version__)
    except Exception as error:
        return reason(error)


def _cpu() -> str:
    lines = CPUS.read_text().splitlines() if CPUS.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _commit() -> str:
    return _answer("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty") or "unknown"


def _answer(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    lines = done.stdout.strip().splitlines()
    return lines[0] if lines else ""


def section(facts: Facts) -> str:
    return table(("", ""), [(name, value) for name, value in facts.items()]) if facts else NOT_RUN
