"""Rank and world size of this process, and where the ranks meet, read from its launcher's environment."""

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path

import torch

from alexrepro.distributed import launchers
from alexrepro.distributed.launchers import FIRST_PORT, PORTS
from alexrepro.errors import Exit, UserError
from alexrepro.processors import usable_processors

__all__ = ["FIRST_PORT", "OURS", "PORTS", "Rank", "check_alone", "find_rank", "first_host"]

OURS = "alexrepro-"  # how the id of a run of our own launcher begins
LOOPBACK = ("localhost", "127.0.0.1", "::1")
FIRST_SPEAKS_SECONDS = 1.0  # in which the first rank refuses, and a launcher ends the others


@dataclass(frozen=True)
class Rank:
    """Rank and world size of this process, its rank on its host, and where all ranks meet; rank 0 of 1 by default."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1
    host: str = "localhost"
    port: int = 0
    store_is_with_first: bool = False  # and not with a launcher
    job: str = ""  # tells these ranks from those of another job that meets at the same port
    is_launched: bool = False  # by `alexrepro train --gpus N`, which has already said what was chosen

    @property
    def hosts_store(self) -> bool:
        """Whether the others meet at this process."""
        return self.rank == 0 and self.store_is_with_first

    def device(self, asked: str) -> str:
        """The device that `--device` means for this process: a GPU of its own where there are several processes."""
        if self.world_size == 1 or asked not in ("auto", "cuda") or not torch.cuda.is_available():
            return asked
        return f"cuda:{self.local_rank % torch.cuda.device_count()}"  # SLURM may show each process its own GPU only

    @property
    def processors(self) -> int:
        """Processors for this process, if the processes of a host share them evenly."""
        return max(1, usable_processors() // self.local_world_size)

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
        except UserError:
            time.sleep(FIRST_SPEAKS_SECONDS if self.rank else 0)
            raise


def find_rank(environment: Mapping[str, str] = os.environ) -> Rank:
    """The rank that a launcher gave this process; rank 0 of 1 where none started several.

    Raises UserError naming a variable that is missing, wrong or not understood.
    """
    given = {name: " ".join(value.split()) for name, value in environment.items() if value.strip()}
    launched = launchers.find_launched(given)
    if launched is None:
        if launchers.TORCH.rank in given and "MASTER_PORT" in given:
            launchers.number(given, "MASTER_PORT", least=1, most=launchers.LAST_PORT)
        return Rank()
    local_rank, local_size = launchers.local_numbers(launched, given)
    host = _meeting_host(launched, given, is_one_host=local_size == launched.size)
    if local_size is None:  # with LOCAL_RANK, several ranks are on this host; without it, Lightning takes one
        local_size = launched.size if host in LOOPBACK and local_rank is not None else 1
    return Rank(
        launched.rank, launched.size, local_rank or 0, max(local_size, 1 + (local_rank or 0)), host,
        launchers.port_of(launched, given),
        store_is_with_first=given.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or launchers.TORCH not in launched.by,
        is_launched=given.get("TORCHELASTIC_RUN_ID", "").startswith(OURS),
        job=launchers.job_of(launched, given),
    )  # fmt: skip


def check_alone(command: str) -> None:
    """Raise UserError if this process was started as one of several for a command that works in one."""
    rank = find_rank()
    if rank.world_size > 1:
        raise UserError(
            f"This is rank {rank.rank} of {rank.world_size}, and {command} trains in one process.",
            fix=f"Start {command} once, or train each recipe in several processes with: alexrepro train.",
            exit_code=Exit.USAGE,
        )


def _meeting_host(launched: launchers.Launched, given: Mapping[str, str], *, is_one_host: bool) -> str:
    """The host of rank 0: MASTER_ADDR, the first of SLURM's hosts, or this one where all ranks are on it."""
    if "MASTER_ADDR" in given:
        return given["MASTER_ADDR"]
    if launched.is_of_slurm and "SLURM_STEP_NODELIST" in given:
        return first_host(given["SLURM_STEP_NODELIST"])
    if is_one_host:
        return LOOPBACK[0]
    raise UserError(
        f"{launched.by[0].rank} is {launched.rank} of {launched.size}, but MASTER_ADDR is not set, so the ranks cannot "
        "find each other.",
        fix="Set MASTER_ADDR to the host of rank 0 and MASTER_PORT to a free port there, the same for every rank.",
        exit_code=Exit.USAGE,
    )


def first_host(nodes: str) -> str:
    """The first of SLURM's hosts: gpu03 of `gpu[03-05,09],login1`. Raises UserError for anything else."""
    found = re.sub(r"\[(\w+)[^\]]*\]", r"\1", nodes).partition(",")[0]
    if not re.fullmatch(r"[\w.-]+", found):
        raise launchers.refused("SLURM_STEP_NODELIST", nodes, "which is not a list of hosts")
    return found
