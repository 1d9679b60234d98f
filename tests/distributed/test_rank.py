"""Ranks are read from torchrun's or SLURM's variables, or refused by name; several never train as if alone."""

from dataclasses import astuple

import pytest

from alexrepro.distributed.rank import find_rank, first_host
from alexrepro.errors import Exit, UserError

PODS = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "host1", "MASTER_PORT": "29500"}  # Kubeflow
TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "gpu07",
    "MASTER_PORT": "29500", "TORCHELASTIC_USE_AGENT_STORE": "True",
}  # fmt: skip
STEP = {
    "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[07-08]", "SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "0",
}  # fmt: skip
BATCH = {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "1", "SLURM_JOB_ID": "4711"}
MPI = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1"}
KUBERNETES = {"MASTER_PORT": "tcp://10.0.0.1:80"}  # of a service by the name of master

BY_SLURM = (1, 4, 1, 2, "gpu07", 24711, True, "4711.0")
BY_TORCHRUN = (3, 4, 1, 2, "gpu07", 29500, False, "")
UNDERSTOOD = {  # rank, size, local rank, local size, host, port, whether the store is with the first rank, job
    "Kubeflow": (PODS, (1, 2, 0, 1, "host1", 29500, True, "")),
    "without a local size": (PODS | {"LOCAL_RANK": "1"}, (1, 2, 1, 2, "host1", 29500, True, "")),
    "torchrun": (TORCHRUN, BY_TORCHRUN),
    "torchrun below srun": (STEP | TORCHRUN, BY_TORCHRUN),
    "srun": (STEP, BY_SLURM),
    "srun and one process by hand": (STEP | {"RANK": "0", "WORLD_SIZE": "1"}, BY_SLURM),
    "srun with PMIx": (STEP | {"PMIX_RANK": "1", "WORLD_SIZE": "4"}, BY_SLURM),
    "srun and a place to meet": (
        STEP | {"MASTER_ADDR": "host1", "MASTER_PORT": "1"}, (1, 4, 1, 2, "host1", 1, True, "4711.0"),
    ),
}  # fmt: skip
ALONE = {
    "a batch script": BATCH,
    "a batch script with PMIx": BATCH | {"PMIX_RANK": "0"},
    "one process of torchrun": {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"},
    "one process of MPI": {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"},
    "one host of SageMaker": {"SM_HOSTS": '["algo-1"]'},
    "an interactive shell": {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"},
    "empty variables": dict.fromkeys([*PODS, *STEP, *MPI], ""),
    "a service of Kubernetes": KUBERNETES,
}
REFUSED = {  # what is set, and the words of the message
    "no size": ({"RANK": "0"}, "RANK is 0, so this may be one of several processes"),
    "no rank": ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2"),
    "no rank in a batch script": (BATCH | {"WORLD_SIZE": "2"}, "WORLD_SIZE is 2"),
    "no host": ({"RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "1"}, "MASTER_ADDR is not set"),
    "no port": ({"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "host1"}, "MASTER_PORT is not set"),
    "a rank too large": (PODS | {"RANK": "2"}, "RANK is 2, which is not a whole number from 0 to 1"),
    "other digits": (PODS | {"WORLD_SIZE": "٢"}, "WORLD_SIZE is ٢"),
    "a local rank too large": (PODS | {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "1"}, "LOCAL_WORLD_SIZE is 1"),
    "the port of Kubernetes": (PODS | KUBERNETES, "MASTER_PORT is tcp://10.0.0.1:80"),
    "the same of one process": ({"RANK": "0", "WORLD_SIZE": "1"} | KUBERNETES, "MASTER_PORT is tcp://10.0.0.1:80"),
    "tasks by node": ({"SLURM_STEP_NUM_TASKS": "2(x1)"}, r"SLURM_STEP_NUM_TASKS is 2\(x1\)"),
    "a job of an array": (STEP | {"SLURM_JOB_ID": "47_1"}, "SLURM_JOB_ID is 47_1"),
    "a step without a rank": ({"SLURM_STEP_NUM_TASKS": "2"}, "SLURM_STEP_NUM_TASKS is 2"),
    "a step without a size": ({"SLURM_PROCID": "1"}, "SLURM_PROCID is 1"),
    "no list of hosts": (STEP | {"SLURM_STEP_NODELIST": "(null)"}, r"SLURM_STEP_NODELIST is \(null\)"),
    "MPI": (MPI, "OMPI_COMM_WORLD_RANK is 1"),
    "PMIx below a batch script": (BATCH | {"PMIX_RANK": "1"}, "PMIX_RANK is 1"),
    "Lightning": ({"NODE_RANK": "1", "LOCAL_RANK": "1"}, "LOCAL_RANK is 1"),
    "two hosts of Kubeflow": ({"PET_NNODES": "2"}, "PET_NNODES is 2"),
    "two hosts of SageMaker": ({"SM_HOSTS": '["algo-1","algo-2"]'}, "SM_HOSTS is"),
}


@pytest.mark.parametrize(("environment", "expected"), UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_the_rank_is_what_the_launcher_says(environment: dict[str, str], expected: tuple[object, ...]) -> None:
    assert astuple(find_rank(environment))[:8] == expected


@pytest.mark.parametrize("environment", ALONE.values(), ids=ALONE)
def test_one_process_is_rank_0_of_1(environment: dict[str, str]) -> None:
    assert find_rank(environment).world_size == 1


@pytest.mark.parametrize(("environment", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_understood_is_refused_by_name(environment: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        find_rank(environment)

    assert refused.value.exit_code is Exit.USAGE
    assert "Set MASTER_ADDR to the host of rank 0" in refused.value.fix


@pytest.mark.parametrize(
    ("nodes", "first"), [("gpu1", "gpu1"), ("a,b", "a"), ("gpu[03-05,09],login1", "gpu03"), ("n[1,3]-ib,x", "n1-ib")]
)
def test_the_first_host_of_a_slurm_list(nodes: str, first: str) -> None:
    assert first_host(nodes) == first
