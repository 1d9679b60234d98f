"""Rank and world size of this process, and where the ranks meet, from the variables of torchrun or SLURM.

An empty variable counts as not set. What hints at several processes and is not understood is refused by name, so that
processes that do not know of each other never train the same network twice.
"""

import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path

from alexrepro.errors import Exit, UserError
from alexrepro.processors import usable_processors
from alexrepro.stop_signals import ended_by_signal, signal_when_parent_ends

OURS = "alexrepro-"  # the prefix of our own launcher's run ids
FIRST_PORT, PORTS, LAST_PORT = 20_000, 10_000, 65_535
FIRST_SPEAKS_SECONDS = 1.0  # the first rank reports an error, and a launcher ends the others

TORCH, SLURM = ("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")
# Where neither pair names several processes, any of these ranks is refused, and any size but 1.
RANKS = (
    "RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "PET_NODE_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK",
    "PALS_RANKID", "MPI_LOCALRANKID",
)  # fmt: skip
WORLDS = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
OTHER_SIZES = (
    "LOCAL_WORLD_SIZE", "PET_NNODES", "SM_HOSTS", "FLUX_JOB_SIZE", "HOROVOD_SIZE", "JSM_NAMESPACE_SIZE",
    "MV2_COMM_WORLD_SIZE", "MVP_COMM_WORLD_SIZE",
)  # fmt: skip
ONE = r"1(:1)?|\[[^,]*\]"  # 1:1 is torchrun's range of hosts, ["algo-1"] SageMaker's list

Variables = Mapping[str, str]


@dataclass(frozen=True)
class Rank:
    """Rank and world size of this process, its rank on its host, and where all ranks meet; rank 0 of 1 by default."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1
    host: str = "localhost"
    port: int = 0
    is_store_with_first: bool = False  # and not with a launcher
    job: str = ""  # distinguishes these ranks from those of another job that meets at the same port
    is_launched: bool = False  # by `alexrepro train --gpus N`, which has already reported its choices

    @property
    def processors(self) -> int:
        """Processors for this process, if all processes of a host get the same number."""
        return max(1, usable_processors() // self.local_world_size)

    @contextmanager
    def quiet(self, *, launched_too: bool = False) -> Iterator[None]:
        """Silence stderr on all ranks but the first, and on it, too, if its launcher has already printed the same."""
        if self.rank == 0 and not (launched_too and self.is_launched):
            yield
            return
        try:
            with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
                yield
        except UserError:
            time.sleep(FIRST_SPEAKS_SECONDS if self.rank else 0)
            raise


@contextmanager
def ended_at_once() -> Iterator[None]:
    """Until a training has something to save, a signal ends the program at once.

    A rank keeps the default handlers, which end it even while it waits, and gets SIGTERM if its launcher ends.
    """
    if any(os.environ.get(rank) and os.environ.get(size) != "1" for rank, size in (TORCH, SLURM)):
        signal_when_parent_ends(signal.SIGTERM)
        yield
    else:
        with ended_by_signal():
            yield


def check_single_process(command: str) -> None:
    """Raise UserError if this process is one of several, for a command that works in one."""
    rank = find_rank()
    if rank.world_size > 1:
        raise UserError(
            f"This is rank {rank.rank} of {rank.world_size}, and {command} trains in one process.",
            fix=f"Start {command} once, or train each recipe in several processes with: alexrepro train.",
            exit_code=Exit.USAGE,
        )


def find_rank(environment: Variables = os.environ) -> Rank:
    """The rank that torchrun or SLURM gave this process; rank 0 of 1 where none started several.

    Raises UserError naming a variable that is missing, wrong or not understood.
    """
    given = {name: " ".join(value.split()) for name, value in environment.items() if value.strip()}
    for names, rank_of in ((TORCH, _rank_of_torchrun), (SLURM, _rank_of_slurm)):
        if given.keys() >= set(names) and (rank := rank_of(given)).world_size > 1:
            return rank
    is_alone = any(given.get(name) == "1" for name in WORLDS)
    hints = [name for name in RANKS if name in given and not (is_alone and given[name] == "0")]
    hints += [name for name in (*WORLDS, *OTHER_SIZES) if not re.fullmatch(ONE, given.get(name, "1"))]
    hints += ["SLURM_PROCID"] if given.get("SLURM_PROCID", "0") != "0" else []  # 0 in batch scripts
    if hints:
        why = "so this may be one of several processes, but RANK and WORLD_SIZE are not set"
        raise _refused(hints[0], given, why, fix=f"Unset {hints[0]} to train in one process")
    return Rank()


def _rank_of_torchrun(given: Variables) -> Rank:
    """The rank by torchrun's variables, which Kubeflow and people set, too, at least the first two."""
    size = _number(given, "WORLD_SIZE", least=1)
    local_rank = _number(given, "LOCAL_RANK", most=size - 1, otherwise=0)
    if size > 1 and "MASTER_ADDR" not in given:
        raise _refused("MASTER_ADDR", given, "so the ranks cannot find each other")
    return Rank(
        _number(given, "RANK", most=size - 1), size, local_rank,
        _number(given, "LOCAL_WORLD_SIZE", least=local_rank + 1, most=size, otherwise=local_rank + 1),
        given.get("MASTER_ADDR", ""),
        _number(given, "MASTER_PORT", least=1, most=LAST_PORT, otherwise=None if size > 1 else 0),
        is_store_with_first=given.get("TORCHELASTIC_USE_AGENT_STORE") != "True",
        is_launched=given.get("TORCHELASTIC_RUN_ID", "").startswith(OURS),
    )  # fmt: skip


def _rank_of_slurm(given: Variables) -> Rank:
    """The rank of a task of srun; they meet on the step's first host, at a port computed from the job."""
    size = _number(given, "SLURM_STEP_NUM_TASKS", least=1)
    if size == 1:  # a batch script
        return Rank()
    local_rank = _number(given, "SLURM_LOCALID", most=size - 1, otherwise=0)
    local_size = -(-size // _number(given, "SLURM_STEP_NUM_NODES", least=1, otherwise=size))
    port = FIRST_PORT + _number(given, "SLURM_JOB_ID") % PORTS
    return Rank(
        _number(given, "SLURM_PROCID", most=size - 1), size, local_rank, max(local_size, local_rank + 1),
        given.get("MASTER_ADDR") or first_host(given.get("SLURM_STEP_NODELIST", "")),
        _number(given, "MASTER_PORT", least=1, most=LAST_PORT, otherwise=port),
        is_store_with_first=True, job=f"{given['SLURM_JOB_ID']}.{given.get('SLURM_STEP_ID', '')}",
    )  # fmt: skip


def first_host(nodes: str) -> str:
    """The first of SLURM's hosts: gpu03 of `gpu[03-05,09],login1`. Raises UserError for anything else."""
    found = re.sub(r"\[(\w+)[^\]]*\]", r"\1", nodes).partition(",")[0]
    if not re.fullmatch(r"[\w.-]+", found):
        raise _refused("SLURM_STEP_NODELIST", {"SLURM_STEP_NODELIST": nodes}, "which is not a list of hosts")
    return found


def _number(given: Variables, name: str, *, least: int = 0, most: int = 10**9, otherwise: int | None = None) -> int:
    """The value of a variable; raises UserError if it is not a number in this range, or not set without a default."""
    value = given.get(name, "")
    if not value and otherwise is not None:
        return otherwise
    if not re.fullmatch(r"[0-9]{1,10}", value) or not least <= int(value) <= most:
        raise _refused(name, given, f"which is not a whole number from {least} to {most}")
    return int(value)


def _refused(name: str, given: Variables, why: str, *, fix: str = "") -> UserError:
    return UserError(
        f"{name} is {given.get(name, 'not set')}, {why}.",
        fix=f"{fix or f'Correct {name}'}, or start every rank with torchrun or srun, or set RANK, WORLD_SIZE and "
        "LOCAL_RANK for each. Set MASTER_ADDR to the host of rank 0 and MASTER_PORT to a free port there.",
        exit_code=Exit.USAGE,
    )
