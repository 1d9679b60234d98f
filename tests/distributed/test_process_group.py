"""Which processes train together: the grid, the options that ask for it, and what torchrun and SLURM say of it."""

import pytest
import torch

from alexrepro.distributed import process_group
from alexrepro.distributed.launch import processes_asked
from alexrepro.distributed.process_group import ProcessGroup, grid
from alexrepro.distributed.rank import Rank, find_rank, first_host
from alexrepro.errors import Exit, UserError
from alexrepro.recipes.as_printed_and_run import AS_RUN_2012


def test_two_processes_share_the_towers_unless_told_otherwise() -> None:
    network = AS_RUN_2012.network

    assert grid(2, network, None) == (1, 2)
    assert grid(4, network, None) == (4, 1)
    assert grid(4, network, "tower") == (2, 2)
    assert grid(2, AS_RUN_2012.but({"network.towers": 1}).network, None) == (2, 1)


def test_three_processes_cannot_share_two_towers() -> None:
    with pytest.raises(UserError, match="3 processes cannot share networks of 2 towers") as refused:
        grid(3, AS_RUN_2012.network, "tower")

    assert refused.value.exit_code is Exit.USAGE
    assert "Start a multiple of 2" in refused.value.fix


def test_a_rank_that_ends_with_the_others_watches_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(process_group.time, "sleep", lambda seconds: done.append("waits for the first to say why"))

    end = ProcessGroup(Rank(1, 2), unwatch=lambda: done.append("unwatches")).abort(UserError("", fix=""))

    assert isinstance(end, SystemExit)
    assert done == ["unwatches", "waits for the first to say why"]  # meanwhile the first may be gone


def test_missing_gpus_are_refused_with_the_way_to_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    with pytest.raises(UserError, match="--gpus 2 asks for more than torch can use here: 1 GPU") as refused:
        processes_asked(gpus=2, processes=None, device="auto")

    assert refused.value.exit_code is Exit.NO_DEVICE
    assert "--device cpu --cpu-ranks 2" in refused.value.fix


@pytest.mark.parametrize(("gpus", "processes", "device"), [(2, 2, "cpu"), (2, None, "cpu"), (None, 2, "auto")])
def test_contradicting_options_are_refused(gpus: int | None, processes: int | None, device: str) -> None:
    with pytest.raises(UserError) as refused:
        processes_asked(gpus=gpus, processes=processes, device=device)

    assert refused.value.exit_code is Exit.USAGE


STEP = {
    "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "3", "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[07-08]", "SLURM_JOB_ID": "1234567",
}  # fmt: skip
TORCHRUN = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "gpu07",
    "MASTER_PORT": "29500", "TORCHELASTIC_USE_AGENT_STORE": "True",
}  # fmt: skip


def test_the_place_is_that_of_torchrun_or_of_the_slurm_step() -> None:
    found = [find_rank(environment) for environment in (TORCHRUN, STEP, {**STEP, **TORCHRUN})]

    assert [(p.rank, p.world_size, p.local_rank, p.local_world_size, p.host) for p in found] == [
        (3, 4, 1, 2, "gpu07")
    ] * 3
    assert [(p.port, p.store_is_with_first) for p in found] == [(29500, False), (24567, True), (29500, False)]


@pytest.mark.parametrize(
    "environment", [{}, {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"}, {**STEP, "SLURM_STEP_NUM_TASKS": "1"}]
)
def test_a_batch_script_or_an_interactive_shell_is_one_process(environment: dict[str, str]) -> None:
    assert find_rank(environment).world_size == 1


@pytest.mark.parametrize(
    ("nodes", "first"), [("gpu1", "gpu1"), ("a,b", "a"), ("gpu[03-05,09],login1", "gpu03"), ("n[1,3]-ib,x", "n1-ib")]
)
def test_the_first_host_of_a_slurm_list(nodes: str, first: str) -> None:
    assert first_host(nodes) == first
