"""Ranks are read from the variables of launchers, or refused by name; several processes never train as if alone."""

import pytest

from alexrepro.distributed.rank import FIRST_PORT, PORTS, find_rank, first_host
from alexrepro.errors import Exit, UserError

MEETING = {"MASTER_ADDR": "host1", "MASTER_PORT": "29500"}
PODS = {"RANK": "1", "WORLD_SIZE": "2", **MEETING}  # Kubeflow
STEP = {
    "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[07-08]", "SLURM_JOB_ID": "4711",
}  # fmt: skip
BATCH = {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "1", "SLURM_JOB_ID": "4711"}

TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "gpu07",
    "MASTER_PORT": "29500", "TORCHELASTIC_USE_AGENT_STORE": "True",
}  # fmt: skip


def mpi(prefix: str, *, local_size: int = 2) -> dict[str, str]:
    numbers = {"RANK": 1, "SIZE": 2, "LOCAL_RANK": 1, "LOCAL_SIZE": local_size}
    return {f"{prefix}_{name}": str(number) for name, number in numbers.items()}


UNDERSTOOD = {  # rank, size, local rank, local size, host
    "Kubeflow": (PODS, (1, 2, 0, 1, "host1")),
    "torch.distributed.launch": ({**PODS, "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1"}, (1, 2, 1, 2, "127.0.0.1")),
    "DeepSpeed": ({**PODS, "LOCAL_RANK": "0", "LOCAL_SIZE": "1"}, (1, 2, 0, 1, "host1")),
    "Open MPI on one host": (mpi("OMPI_COMM_WORLD"), (1, 2, 1, 2, "localhost")),
    "Open MPI on two": ({**mpi("OMPI_COMM_WORLD", local_size=2), **MEETING}, (1, 2, 1, 2, "host1")),
    "Open MPI below srun": ({**STEP, **mpi("OMPI_COMM_WORLD"), **MEETING}, (1, 2, 1, 2, "host1")),
    "Intel MPI": (
        {"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "2"},
        (1, 2, 1, 2, "localhost"),
    ),
    "PALS": (
        {"PMI_RANK": "5", "PMI_SIZE": "8", "PALS_RANKID": "5", "PMI_LOCAL_RANK": "1", "PMI_LOCAL_SIZE": "4", **MEETING},
        (5, 8, 1, 4, "host1"),
    ),
    "srun": (STEP, (1, 4, 1, 2, "gpu07")),
    "srun and names set by hand": ({**STEP, "RANK": "1", "WORLD_SIZE": "4"}, (1, 4, 1, 2, "gpu07")),
    "srun and a number set by hand": ({**STEP, "WORLD_SIZE": "4"}, (1, 4, 1, 2, "gpu07")),
    "a batch script": (BATCH, (0, 1, 0, 1, "localhost")),
    "a batch step with PMIx": ({**BATCH, "PMIX_RANK": "0"}, (0, 1, 0, 1, "localhost")),
    "one process": ({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, (0, 1, 0, 1, "localhost")),
    "a world of one": ({"WORLD_SIZE": "1"}, (0, 1, 0, 1, "localhost")),
    "one host of SageMaker": ({"SM_HOSTS": '["algo-1"]'}, (0, 1, 0, 1, "localhost")),
    "torchrun below srun": ({**STEP, **TORCHRUN}, (3, 4, 1, 2, "gpu07")),
    "an interactive shell": ({"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"}, (0, 1, 0, 1, "localhost")),
    "empty": (dict.fromkeys([*PODS, *STEP, "PMIX_RANK"], ""), (0, 1, 0, 1, "localhost")),
    "a service of Kubernetes": ({"MASTER_PORT": "tcp://10.0.0.1:80"}, (0, 1, 0, 1, "localhost")),
}


@pytest.mark.parametrize("case", UNDERSTOOD)
def test_the_rank_is_what_the_launcher_says(case: str) -> None:
    environment, expected = UNDERSTOOD[case]

    rank = find_rank(environment)

    assert (rank.rank, rank.world_size, rank.local_rank, rank.local_world_size, rank.host) == expected


REFUSED = {  # what is set, and what is named
    "no size": ({"RANK": "0"}, "RANK is 0, but WORLD_SIZE is not set"),
    "no rank": ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but RANK is not set"),
    "no rank in a batch script": ({**BATCH, "WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but RANK is not set"),
    "no host": ({"RANK": "1", "WORLD_SIZE": "2"}, "MASTER_ADDR is not set"),
    "no host of MPI": (mpi("OMPI_COMM_WORLD", local_size=1) | {"OMPI_COMM_WORLD_LOCAL_RANK": "0"}, "MASTER_ADDR"),
    "a rank too large": ({**PODS, "RANK": "2"}, "RANK is 2, but WORLD_SIZE is 2"),
    "a negative rank": ({**PODS, "RANK": "-1"}, "RANK is -1"),
    "other digits": ({**PODS, "WORLD_SIZE": "٢"}, "WORLD_SIZE is ٢"),
    "a local rank too large": ({**PODS, "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "1"}, "LOCAL_RANK is 1"),
    "more on a host than in all": ({**PODS, "LOCAL_WORLD_SIZE": "3"}, "LOCAL_WORLD_SIZE is 3"),
    "the port of Kubernetes": ({**PODS, "MASTER_PORT": "tcp://10.0.0.1:80"}, "MASTER_PORT is tcp://10.0.0.1:80"),
    "the same of one process": (
        {"RANK": "0", "WORLD_SIZE": "1", "MASTER_PORT": "tcp://10.0.0.1:80"}, "MASTER_PORT is tcp://10.0.0.1:80",
    ),
    "tasks by node": ({"SLURM_STEP_NUM_TASKS": "2(x1)"}, r"SLURM_STEP_NUM_TASKS is 2\(x1\)"),
    "a job of an array": ({**STEP, "SLURM_JOB_ID": "47_1"}, "SLURM_JOB_ID is 47_1"),
    "a step without a rank": ({"SLURM_STEP_NUM_TASKS": "2"}, "SLURM_PROCID is not set"),
    "a step without a size": ({"SLURM_PROCID": "1"}, "SLURM_STEP_NUM_TASKS is not set"),
    "no list of hosts": ({**STEP, "SLURM_STEP_NODELIST": "(null)"}, r"SLURM_STEP_NODELIST is \(null\)"),
    "another number by hand": ({**STEP, "WORLD_SIZE": "8"}, "WORLD_SIZE is 8, but the launcher"),
    "one process of two": ({**mpi("OMPI_COMM_WORLD"), "RANK": "0", "WORLD_SIZE": "1"}, "RANK is 0, but the launcher"),
    "PMIx": ({"PMIX_RANK": "0"}, "PMIX_RANK is 0"),
    "PMIx below a batch script": ({**BATCH, "PMIX_RANK": "1"}, "PMIX_RANK is 1"),
    "Lightning": ({"NODE_RANK": "1", "LOCAL_RANK": "1"}, "LOCAL_RANK is 1"),
    "two hosts of Kubeflow": ({"PET_NNODES": "2"}, "PET_NNODES is 2"),
    "one of two by Horovod": ({"HOROVOD_RANK": "0", "HOROVOD_SIZE": "2"}, "HOROVOD_SIZE is 2"),
    "two hosts of SageMaker": ({"SM_HOSTS": '["algo-1","algo-2"]'}, "SM_HOSTS is"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_understood_is_refused_by_name(case: str) -> None:
    environment, named = REFUSED[case]

    with pytest.raises(UserError, match=named) as refused:
        find_rank(environment)

    assert refused.value.exit_code is Exit.USAGE


def test_ranks_of_one_job_meet_at_one_port_and_those_of_another_elsewhere() -> None:
    jobs = [("0", "4711@1"), ("1", "4711@1"), ("1", "4712@1")]
    first, second, other = (
        find_rank({**mpi("OMPI_COMM_WORLD"), "OMPI_COMM_WORLD_RANK": rank, "PMIX_NAMESPACE": job}).port
        for rank, job in jobs
    )

    assert first == second != other
    assert all(FIRST_PORT <= port < FIRST_PORT + PORTS for port in (first, other))


def test_the_store_is_with_the_first_rank_unless_torchrun_has_one() -> None:
    found = [find_rank(environment) for environment in (TORCHRUN, STEP)]

    assert [(rank.port, rank.is_store_with_first) for rank in found] == [(29500, False), (24711, True)]


@pytest.mark.parametrize(
    ("nodes", "first"), [("gpu1", "gpu1"), ("a,b", "a"), ("gpu[03-05,09],login1", "gpu03"), ("n[1,3]-ib,x", "n1-ib")]
)
def test_the_first_host_of_a_slurm_list(nodes: str, first: str) -> None:
    assert first_host(nodes) == first
