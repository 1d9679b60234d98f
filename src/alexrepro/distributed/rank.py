"""Rank and world size of this process, and where the ranks meet, read from its launcher's environment.

An empty variable counts as not set. What is incomplete or contradictory is refused by name, so that processes that do
not know of each other never train the same network twice.
"""

import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from alexrepro.errors import Exit, UserError
from alexrepro.processors import usable_processors
from alexrepro.stop_signals import ended_by_signal, signal_when_parent_ends

OURS = "alexrepro-"  # the prefix of our own launcher's run ids
FIRST_PORT, PORTS, LAST_PORT = 20_000, 10_000, 65_535
SHOWN_CHARACTERS = 80  # of a wrong value
LOOPBACK = ("localhost", "127.0.0.1", "::1")
FIRST_SPEAKS_SECONDS = 1.0  # the first rank reports an error, and a launcher ends the others

Variables = Mapping[str, str]


@dataclass(frozen=True)
class Launcher:
    """The environment variables of one launcher; of several names, the first that is set counts."""

    rank: str
    world_size: str
    local_rank: tuple[str, ...]
    local_world_size: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()  # the number of hosts
    job: tuple[str, ...] = ()  # distinguish this job from others


TORCH = Launcher("RANK", "WORLD_SIZE", ("LOCAL_RANK",), ("LOCAL_WORLD_SIZE", "LOCAL_SIZE"))  # LOCAL_SIZE: DeepSpeed
OPEN_MPI = Launcher(
    "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", ("OMPI_COMM_WORLD_LOCAL_RANK",), ("OMPI_COMM_WORLD_LOCAL_SIZE",),
    job=("PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"),
)  # fmt: skip
PMI = Launcher(  # MPICH, Intel MPI, PALS
    "PMI_RANK", "PMI_SIZE", ("MPI_LOCALRANKID", "PMI_LOCAL_RANK"), ("MPI_LOCALNRANKS", "PMI_LOCAL_SIZE"),
    job=("PALS_APID", "PBS_JOBID"),
)  # fmt: skip
SLURM = Launcher(
    "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", ("SLURM_LOCALID",), hosts=("SLURM_STEP_NUM_NODES",),
    job=("SLURM_JOB_ID", "SLURM_STEP_ID"),
)  # fmt: skip
LAUNCHERS = (TORCH, OPEN_MPI, PMI, SLURM)  # each may have been started by one after it
# Other launchers of several processes: a rank other than 0, or a number other than 1, is refused.
OTHER_RANKS = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "PET_NODE_RANK", "PMIX_RANK", "PALS_RANKID", "MPI_LOCALRANKID")
OTHER_SIZES = (
    "LOCAL_WORLD_SIZE", "PET_NNODES", "SM_HOSTS", "FLUX_JOB_SIZE", "HOROVOD_SIZE", "JSM_NAMESPACE_SIZE",
    "MV2_COMM_WORLD_SIZE", "MVP_COMM_WORLD_SIZE",
)  # fmt: skip
ONE = r"1(:1)?|\[[^,]*\]"  # 1:1 is torchrun's range of hosts, ["algo-1"] SageMaker's list


@dataclass(frozen=True)
class Rank:
    """Rank and world size of this process, its rank on its host, and where all ranks meet; rank 0 of 1 by default."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1
    host: str = LOOPBACK[0]
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
    if any(os.environ.get(by.rank) and os.environ.get(by.world_size) != "1" for by in LAUNCHERS):
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
    """The rank that a launcher gave this process; rank 0 of 1 where none started several.

    Raises UserError naming a variable that is missing, wrong or not understood.
    """
    given = {name: " ".join(value.split()) for name, value in environment.items() if value.strip()}
    numbers = {by: _rank_and_size(by, given) for by in LAUNCHERS if _is_named(by, given)}
    if all(size == 1 for _, size in numbers.values()):
        _refuse_unknown(given, is_alone=bool(numbers) or given.get(SLURM.world_size) == "1")
        if TORCH.rank in given:
            _port([TORCH], given, job="")
        return Rank()
    rank, size = next((rank, size) for rank, size in numbers.values() if size > 1)
    for name, known in ((TORCH.rank, rank), (TORCH.world_size, size)):
        # It may be set by hand, or by a launcher of one process below another.
        if name in given and _number(given, name) != known:
            raise _refused(name, given, f"but the launcher started this process as rank {rank} of {size}")
    by = [each for each, its in numbers.items() if its == (rank, size)]
    local_rank, local_size = _local_numbers(by, size, given)
    host = _host_of_first(by, rank, size, given, is_one_host=local_size == size)
    if local_size is None:  # with LOCAL_RANK, several ranks are on this host; without it, Lightning takes one
        local_size = size if host in LOOPBACK and local_rank is not None else 1
    job = ".".join(given[name] for each in by for name in each.job if name in given)
    return Rank(
        rank, size, local_rank or 0, max(local_size, 1 + (local_rank or 0)), host, _port(by, given, job),
        is_store_with_first=given.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or TORCH not in by,
        job=job, is_launched=given.get("TORCHELASTIC_RUN_ID", "").startswith(OURS),
    )  # fmt: skip


def first_host(nodes: str) -> str:
    """The first of SLURM's hosts: gpu03 of `gpu[03-05,09],login1`. Raises UserError for anything else."""
    found = re.sub(r"\[(\w+)[^\]]*\]", r"\1", nodes).partition(",")[0]
    if not re.fullmatch(r"[\w.-]+", found):
        raise _refused("SLURM_STEP_NODELIST", {"SLURM_STEP_NODELIST": nodes}, "which is not a list of hosts")
    return found


def _is_named(by: Launcher, given: Variables) -> bool:
    """Whether a launcher names rank and world size; SLURM names one task in batch scripts, whose rank is idle."""
    is_batch_script = by is SLURM and by.world_size in given and _number(given, by.world_size) == 1
    return by.rank in given and by.world_size in given and not is_batch_script


def _rank_and_size(by: Launcher, given: Variables) -> tuple[int, int]:
    size, rank = _number(given, by.world_size, least=1), _number(given, by.rank)
    if rank >= size:
        raise _refused(by.rank, given, f"but {by.world_size} is {size}: ranks count from 0 to {size - 1}")
    return rank, size


def _local_numbers(by: list[Launcher], size: int, given: Variables) -> tuple[int | None, int | None]:
    """The rank of this process on its host, and the number of ranks there, where a launcher gives them."""
    rank_name, size_name, hosts_name = (
        next((name for names in kind for name in names if name in given), "")
        for kind in ([it.local_rank for it in by], [it.local_world_size for it in by], [it.hosts for it in by])
    )
    rank = _number(given, rank_name, most=size - 1) if rank_name else None
    if hosts_name and not size_name:
        return rank, -(-size // _number(given, hosts_name, least=1))
    local_size = _number(given, size_name, least=1, most=size) if size_name else None
    if rank is not None and local_size is not None and rank >= local_size:
        raise _refused(rank_name, given, f"but {size_name} is {local_size}")
    return rank, local_size


def _host_of_first(by: list[Launcher], rank: int, size: int, given: Variables, *, is_one_host: bool) -> str:
    if "MASTER_ADDR" in given:
        return given["MASTER_ADDR"]
    if SLURM in by and "SLURM_STEP_NODELIST" in given:
        return first_host(given["SLURM_STEP_NODELIST"])
    if is_one_host:
        return LOOPBACK[0]
    raise UserError(
        f"{by[0].rank} is {rank} of {size}, but MASTER_ADDR is not set, so the ranks cannot find each other.",
        fix="Set MASTER_ADDR to the host of rank 0 and MASTER_PORT to a free port there, the same for every rank.",
        exit_code=Exit.USAGE,
    )


def _port(by: list[Launcher], given: Variables, job: str) -> int:
    """MASTER_PORT, or a port computed from the job, the same for every rank."""
    if "MASTER_PORT" in given:
        return _number(given, "MASTER_PORT", least=1, most=LAST_PORT)
    if SLURM in by and "SLURM_JOB_ID" in given:
        return FIRST_PORT + _number(given, "SLURM_JOB_ID") % PORTS
    return FIRST_PORT + crc32(job.encode(errors="replace")) % PORTS


def _number(given: Variables, name: str, *, least: int = 0, most: int = 10**9) -> int:
    value = given[name]
    if not re.fullmatch(r"[0-9]{1,10}", value) or not least <= int(value) <= most:
        raise _refused(name, given, f"which is not a whole number from {least} to {most}")
    return int(value)


def _refused(name: str, given: Variables, why: str, *, fix: str = "") -> UserError:
    fix = fix or f"Correct {name}, or start every rank with torchrun or srun, which set these variables."
    return UserError(f"{name} is {given[name][:SHOWN_CHARACTERS]}, {why}.", fix=fix, exit_code=Exit.USAGE)


def _refuse_unknown(given: Variables, *, is_alone: bool) -> None:
    """Raise UserError for half of a launcher's variables and for those of others; is_alone: one process is known."""
    lacking = {}
    for by in LAUNCHERS:
        is_idle = by is SLURM and given.get(by.rank) == "0"  # in a batch script and in an interactive shell
        if by.world_size not in given and by.rank in given and not is_idle:
            lacking[by.rank] = f"{by.world_size} is"
        if by.rank not in given and by.world_size in given and _number(given, by.world_size, least=1) > 1:
            lacking[by.world_size] = f"{by.rank} is"
    others = [name for name in OTHER_RANKS if name in given and not (is_alone and given[name] == "0")]
    others += [name for name in OTHER_SIZES if not re.fullmatch(ONE, given.get(name, "1"))]
    lacking |= dict.fromkeys(others, "RANK and WORLD_SIZE are")
    if lacking:
        name, lacks = next(iter(lacking.items()))
        raise _refused(
            name, given, f"but {lacks} not set, so this may be one of several processes",
            fix="Start them with torchrun or srun, or set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT for each; "
            f"unset {name} to train in one.",
        )  # fmt: skip
