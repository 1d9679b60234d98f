"""The environment variables in which launchers tell a process its rank and the number of ranks.

An empty variable counts as not set. What is incomplete, contradictory or no number is refused by name, so that ranks
that do not know of each other never train the same network twice.
"""

import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from zlib import crc32

from alexrepro.errors import Exit, UserError
from alexrepro.stop_signals import ended_by_signal, hear_of_parents_end

Environment = Mapping[str, str]

FIRST_PORT, PORTS = 20_000, 10_000
LAST_PORT = 65_535
MOST_SHOWN = 80  # characters of a wrong value
MOST = 10**9  # ranks, tasks and numbers of jobs


@dataclass(frozen=True)
class Launcher:
    """The variables of one launcher; the first that is set of several names counts."""

    rank: str
    size: str
    local_rank: tuple[str, ...] = ()
    local_size: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()  # the number of hosts
    job: tuple[str, ...] = ()  # what tells this job from others

    @classmethod
    def of_mpi(cls, prefix: str, *job: str) -> "Launcher":
        """The variables of a launcher that gives its four numbers names of one pattern."""
        names = (f"{prefix}_RANK", f"{prefix}_SIZE", (f"{prefix}_LOCAL_RANK",), (f"{prefix}_LOCAL_SIZE",))
        return cls(*names, job=job)


SLURM = Launcher(
    "SLURM_PROCID",
    "SLURM_STEP_NUM_TASKS",
    ("SLURM_LOCALID",),
    (),
    ("SLURM_STEP_NUM_NODES",),
    ("SLURM_JOB_ID", "SLURM_STEP_ID"),
)
TORCH = Launcher("RANK", "WORLD_SIZE", ("LOCAL_RANK",), ("LOCAL_WORLD_SIZE", "LOCAL_SIZE"))  # LOCAL_SIZE: DeepSpeed
LAUNCHERS = (  # a launcher may have been started by one that stands below it
    TORCH,
    Launcher.of_mpi("OMPI_COMM_WORLD", "PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"),
    Launcher.of_mpi("MV2_COMM_WORLD", "MPIRUN_ID"),
    Launcher.of_mpi("MVP_COMM_WORLD"),
    Launcher.of_mpi("HOROVOD"),
    Launcher.of_mpi("JSM_NAMESPACE", "LSB_JOBID"),
    Launcher(
        "FLUX_TASK_RANK", "FLUX_JOB_SIZE", ("FLUX_TASK_LOCAL_ID",), hosts=("FLUX_JOB_NNODES",), job=("FLUX_JOB_ID",)
    ),
    Launcher(  # MPICH, Intel MPI, PALS
        "PMI_RANK", "PMI_SIZE", ("MPI_LOCALRANKID", "PMI_LOCAL_RANK", "PALS_LOCAL_RANKID"),
        ("MPI_LOCALNRANKS", "PMI_LOCAL_SIZE"), job=("PALS_APID", "PBS_JOBID"),
    ),
    SLURM,
)  # fmt: skip
WITHOUT_SIZE = (  # say that there are others, but not how many
    "LOCAL_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "PET_NODE_RANK", "PMIX_RANK", "PALS_RANKID",
    "ALPS_APP_PE", "MPI_LOCALRANKID",
)  # fmt: skip
HOSTS = ("PET_NNODES", "SM_HOSTS")  # Kubeflow's trainer, SageMaker: hosts, on which torchrun is to be started


@dataclass(frozen=True)
class Launched:
    """Rank and number of ranks, by the first launcher that names both, and every launcher that names the same."""

    rank: int
    size: int
    by: tuple[Launcher, ...]

    @property
    def is_of_slurm(self) -> bool:
        """Whether the ranks are the tasks of a SLURM step, so that SLURM's list of hosts is theirs."""
        return SLURM in self.by


def has_launcher(environment: Environment) -> bool:
    """Whether this process was started as one of several, as far as a look at the names tells."""
    return any(environment.get(by.rank) and environment.get(by.size) != "1" for by in LAUNCHERS)


@contextmanager
def ended_at_once() -> Iterator[None]:
    """The same while a training has nothing to save.

    A rank keeps the usual way, which ends it even while it waits for the others; its launcher knows what that means,
    and when its launcher ends, it gets SIGTERM.
    """
    if has_launcher(os.environ):
        hear_of_parents_end(signal.SIGTERM)
        yield
        return
    with ended_by_signal():
        yield


def find_launched(environment: Environment) -> Launched | None:
    """The rank of this process, or None where no launcher started several.

    environment: without empty values. Raises UserError naming a variable that is missing, wrong or not understood.
    """
    found = [(launcher, *_numbers(launcher, environment)) for launcher in LAUNCHERS if _is_named(launcher, environment)]
    if any(size > 1 for _, _, size in found):
        first, rank, size = found[0]
        if size == 1:
            other = next(by for by, _, theirs in found if theirs > 1)
            raise refused(first.size, "1", f"but {other.size} is {environment[other.size]}")
        _refuse_other_half(environment, rank=rank, size=size)
        return Launched(rank, size, tuple(by for by, *theirs in found if theirs == [rank, size]))
    _refuse_half(environment)
    _refuse_unknown(environment, is_alone=bool(found) or environment.get(SLURM.size) == "1")
    return None


def number(environment: Environment, name: str, *, least: int = 0, most: int = MOST) -> int:
    """The whole number in a variable; raises UserError naming the variable and its value."""
    value = environment[name]
    if not re.fullmatch(r"[0-9]{1,10}", value) or not least <= int(value) <= most:
        raise refused(name, value, f"which is not a whole number from {least} to {most}")
    return int(value)


def local_numbers(launched: Launched, environment: Environment) -> tuple[int | None, int | None]:
    """The rank of this process among those of its host, and how many those are, where launchers say it."""
    rank_name = _first_set(environment, (name for by in launched.by for name in by.local_rank))
    rank = None if rank_name is None else number(environment, rank_name, most=launched.size - 1)
    size_name = _first_set(environment, (name for by in launched.by for name in by.local_size))
    if size_name is not None:
        size = number(environment, size_name, least=1, most=launched.size)
        if rank_name is not None and rank is not None and rank >= size:
            raise refused(rank_name, str(rank), f"but {size_name} is {size}")
        return rank, size
    hosts = _first_set(environment, (name for by in launched.by for name in by.hosts))
    return rank, None if hosts is None else -(-launched.size // number(environment, hosts, least=1))


def port_of(launched: Launched, environment: Environment) -> int:
    """The port at which the ranks meet: MASTER_PORT, or one that follows from the job, the same for every rank."""
    if "MASTER_PORT" in environment:
        return number(environment, "MASTER_PORT", least=1, most=LAST_PORT)
    if launched.is_of_slurm and "SLURM_JOB_ID" in environment:
        return FIRST_PORT + number(environment, "SLURM_JOB_ID") % PORTS
    return FIRST_PORT + crc32(job_of(launched, environment).encode(errors="replace")) % PORTS


def job_of(launched: Launched, environment: Environment) -> str:
    """What tells the job of these ranks from others that meet at the same port; empty where no launcher says it."""
    return ".".join(environment[name] for by in launched.by for name in by.job if name in environment)


def refused(name: str, value: str, why: str) -> UserError:
    """The refusal of a variable with a wrong value."""
    return UserError(
        f"{name} is {value[:MOST_SHOWN]}, {why}.",
        fix=f"Correct {name}, or start every rank with torchrun or srun, which set what the ranks need.",
        exit_code=Exit.USAGE,
    )


def _is_named(launcher: Launcher, environment: Environment) -> bool:
    """Whether a launcher names rank and number of ranks; SLURM names one task in batch scripts, whose rank is idle."""
    if launcher is SLURM and launcher.size in environment and number(environment, launcher.size) == 1:
        return False
    return launcher.rank in environment and launcher.size in environment


def _numbers(launcher: Launcher, environment: Environment) -> tuple[int, int]:
    size = number(environment, launcher.size, least=1)
    rank = number(environment, launcher.rank)
    if rank >= size:
        raise refused(launcher.rank, str(rank), f"but {launcher.size} is {size}: ranks count from 0 to {size - 1}")
    return rank, size


def _refuse_other_half(environment: Environment, *, rank: int, size: int) -> None:
    """Raise UserError if RANK or WORLD_SIZE is set alone and is not what the launcher says."""
    for name, known in ((TORCH.rank, rank), (TORCH.size, size)):
        if name in environment and number(environment, name) != known:
            raise refused(name, environment[name], f"but the launcher started this process as rank {rank} of {size}")


def _refuse_half(environment: Environment) -> None:
    """Raise UserError if a launcher says the rank and not the number of ranks, or the number only."""
    for launcher in LAUNCHERS:
        rank, size = environment.get(launcher.rank), environment.get(launcher.size)
        is_idle = launcher is SLURM and rank == "0"  # in a batch script and in an interactive shell
        if size is None and rank is not None and not is_idle:
            raise _half(launcher.rank, rank, lacks=launcher.size)
        if rank is None and size is not None and number(environment, launcher.size, least=1) > 1:
            raise _half(launcher.size, size, lacks=launcher.rank)


def _half(name: str, value: str, *, lacks: str) -> UserError:
    return UserError(
        f"{name} is {value[:MOST_SHOWN]}, but {lacks} is not set, so this may be one of several processes.",
        fix=f"Set {lacks} for every process, or start them with torchrun or srun; unset {name} to train in one.",
        exit_code=Exit.USAGE,
    )


def _refuse_unknown(environment: Environment, *, is_alone: bool) -> None:
    """Raise UserError for a variable of a launcher that does not say how many processes it started."""
    for name in (*WITHOUT_SIZE, *HOSTS):
        value = environment.get(name)
        is_one = (is_alone and value == "0") or (name in HOSTS and value is not None and _is_one_host(value))
        if value is not None and not is_one and not (is_alone and name == "LOCAL_WORLD_SIZE" and value == "1"):
            raise UserError(
                f"{name} is {value[:MOST_SHOWN]}, but RANK and WORLD_SIZE are not set, so this may be one of several "
                "processes.",
                fix=f"Start the processes with torchrun or srun, or set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT "
                f"for each; unset {name} to train in one.",
                exit_code=Exit.USAGE,
            )


def _is_one_host(hosts: str) -> bool:
    """`1` or `1:1` of torchrun, `["algo-1"]` of SageMaker."""
    return hosts in {"1", "1:1"} or (hosts.startswith("[") and "," not in hosts)


def _first_set(environment: Environment, names: Iterator[str]) -> str | None:
    return next((name for name in names if name in environment), None)
