"""How processes start and meet: the grid, the options that ask for it, and a port that may be taken or silent."""

import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import torch

from alexrepro.distributed import launch
from alexrepro.distributed.launch import grid, launch_if_requested, open_store
from alexrepro.distributed.rank import Rank
from alexrepro.errors import Exit, UserError
from alexrepro.recipes.catalog import AS_RUN_2012

from ..ranks import free_port


def test_two_processes_share_the_towers_by_default() -> None:
    network = AS_RUN_2012.network

    assert grid(2, network, None) == (1, 2)
    assert grid(4, network, None) == (4, 1)
    assert grid(4, network, "tower") == (2, 2)
    assert grid(2, AS_RUN_2012.but({"network.towers": 1}).network, None) == (2, 1)


CONTRADICTION = "--gpus starts a process for each GPU, and --cpu-ranks starts processes on the CPU."
REFUSED = [  # options on a host with one GPU, and the message
    ({"processes": 3, "device": "cpu"}, "3 processes cannot share networks of 2 towers. Start a multiple of 2"),
    ({"gpus": 2}, "more than torch can use here, which is 1. Train on the CPU with: --device cpu --cpu-ranks 2"),
    ({"gpus": 2, "processes": 2, "device": "cpu"}, CONTRADICTION),
    ({"gpus": 2, "device": "cpu"}, CONTRADICTION),
    ({"processes": 2}, CONTRADICTION),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_processes_that_cannot_train_together_are_refused(
    options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    chosen = {"gpus": None, "processes": None, "device": "auto", "parallel": "tower"} | options

    with pytest.raises(UserError) as refused:
        launch_if_requested(Rank(), AS_RUN_2012.network, **chosen)

    assert message in f"{refused.value.what} {refused.value.fix}"
    assert refused.value.exit_code is (Exit.NO_DEVICE if options == {"gpus": 2} else Exit.USAGE)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port at which somebody listens, who never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def rank(number: int, port: int, job: str = "4711") -> Rank:
    return Rank(number, 2, number, 2, "127.0.0.1", port, is_store_with_first=True, job=job)


@pytest.mark.parametrize(("number", "why"), [(0, "address already in use"), (1, "does not answer within 0 seconds")])
def test_a_port_of_another_program_is_reported(
    silent: int, number: int, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if number == 1:
        monkeypatch.setattr(launch, "ANSWER", timedelta(seconds=0.3))

    with pytest.raises(
        UserError, match=rf"Rank {number} did not meet all 2 at 127\.0\.0\.1:{silent} .*{why}"
    ) as refused:
        open_store(rank(number, silent))

    assert "set MASTER_PORT" in refused.value.fix
    assert refused.value.exit_code is Exit.WORKER_FAILED


def test_a_rank_that_finds_no_first_one_says_how_long_it_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "JOIN", timedelta(seconds=0.5))
    port = free_port()

    with pytest.raises(UserError, match=rf"did not meet all 2 at 127\.0\.0\.1:{port} .*tried for 0\.5 seconds"):
        open_store(rank(1, port))


def test_ranks_of_another_job_do_not_join() -> None:
    port = free_port()
    first = open_store(rank(0, port))

    with pytest.raises(UserError, match="another program or job has that port"):
        open_store(rank(1, port, job="4712"))

    assert open_store(rank(1, port)).get("job") == first.get("job")
