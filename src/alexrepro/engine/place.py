"""Where a process stands among those that were started with it, as torchrun or SLURM tells it in its environment."""

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path

import torch

from alexrepro.errors import Refusal
from alexrepro.processors import usable_processors

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
SLURM = ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_STEP_NODELIST", "SLURM_JOB_ID")
OURS = "alexrepro-"  # how the id of a run of our own launcher begins
FIRST_PORT, PORTS = 20_000, 10_000
FIRST_SPEAKS_SECONDS = 1.0  # in which the first rank refuses, and a launcher ends the others


@dataclass(frozen=True)
class Place:
    """One process among `size`: its rank, its place on its host, and where all of them meet; alone by default."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    host: str = "localhost"
    port: int = 0
    store_is_with_first: bool = False  # and not with a launcher
    is_launched: bool = False  # by `alexrepro train --gpus N`, which has already said what was chosen

    @property
    def hosts_store(self) -> bool:
        """Whether the others meet at this process."""
        return self.rank == 0 and self.store_is_with_first

    def device(self, asked: str) -> str:
        """The device that `--device` means for this process: a GPU of its own where there are several processes."""
        if self.size == 1 or asked not in ("auto", "cuda") or not torch.cuda.is_available():
            return asked
        return f"cuda:{self.local_rank % torch.cuda.device_count()}"  # SLURM may show each process its own GPU only

    @property
    def processors(self) -> int:
        """Processors for this process, if the processes of a host share them evenly."""
        return max(1, usable_processors() // self.local_size)

    @contextmanager
    def quiet(self, *, launched_too: bool = False) -> Iterator[None]:
        """Let only the first rank speak, and none if a launcher said the same before.

        Another rank refuses only after the first has had time to say the same.
        """
        if self.rank == 0 and not (launched_too and self.is_launched):
            yield
            return
        try:
            with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
                yield
        except Refusal:
            time.sleep(FIRST_SPEAKS_SECONDS if self.rank else 0)
            raise


def find_place(environment: Mapping[str, str] = os.environ) -> Place:
    """The place that torchrun, or a step of several SLURM tasks, gave this process; alone if neither did."""
    if all(name in environment for name in TORCHRUN):
        rank, size, local_rank, local_size = (int(environment[name]) for name in TORCHRUN[:4])
        return Place(
            rank, size, local_rank, local_size, environment["MASTER_ADDR"], int(environment["MASTER_PORT"]),
            store_is_with_first=environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True",
            is_launched=environment.get("TORCHELASTIC_RUN_ID", "").startswith(OURS),
        )  # fmt: skip
    size = int(environment.get("SLURM_STEP_NUM_TASKS", "1"))  # 1 in a batch script and in an interactive shell
    if size == 1 or not all(name in environment for name in SLURM):
        return Place()
    rank, hosts = int(environment["SLURM_PROCID"]), int(environment.get("SLURM_STEP_NUM_NODES", "1"))
    port = environment.get("MASTER_PORT") or FIRST_PORT + int(environment["SLURM_JOB_ID"]) % PORTS
    host = environment.get("MASTER_ADDR") or first_host(environment["SLURM_STEP_NODELIST"])
    return Place(rank, size, int(environment["SLURM_LOCALID"]), -(-size // hosts), host, int(port), True)


def first_host(nodes: str) -> str:
    """The first of SLURM's hosts: gpu03 of `gpu[03-05,09],login1`."""
    found = re.match(r"([^,\[]+)(?:\[(\w+)[^\]]*\]([^,]*))?", nodes)
    if found is None:
        raise ValueError(f"no host in {nodes!r}")
    return "".join(part or "" for part in found.groups())
