"""Ranks meet at a port within a stated time; a port that another program has is told."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest

from alexrepro.distributed import rendezvous
from alexrepro.distributed.rank import Rank
from alexrepro.distributed.rendezvous import open_store
from alexrepro.errors import Exit, UserError


@pytest.fixture
def silent() -> Iterator[int]:
    """A port at which somebody listens, who never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def rank(number: int, port: int, job: str = "4711") -> Rank:
    return Rank(number, 2, number, 2, "127.0.0.1", port, store_is_with_first=True, job=job)


def test_the_first_rank_says_that_its_port_is_taken(silent: int) -> None:
    with pytest.raises(UserError, match=rf"Port {silent}, at which the ranks are to meet, is taken") as refused:
        open_store(rank(0, silent))

    assert "Set MASTER_PORT" in refused.value.fix
    assert refused.value.exit_code is Exit.WORKER_FAILED


def test_another_rank_gives_up_where_nothing_answers(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "ANSWER", timedelta(seconds=1))

    with pytest.raises(UserError, match="another program has that port, or rank 0 did not answer within 1 seconds"):
        open_store(rank(1, silent))


def test_a_rank_without_a_first_one_says_how_long_it_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "JOIN", timedelta(seconds=0.5))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # not listening
        port = closed.getsockname()[1]

        with pytest.raises(UserError, match=rf"did not meet all 2 at 127\.0\.0\.1:{port} .*tried for 0\.5 seconds"):
            open_store(rank(1, port))


def test_ranks_of_another_job_do_not_join() -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    first = open_store(rank(0, port))

    with pytest.raises(UserError, match="another program has that port"):
        open_store(rank(1, port, job="4712"))

    assert open_store(rank(1, port)).get("job") == first.get("job")


@pytest.mark.slow
def test_a_taken_port_is_told_without_the_stacks_of_torch(silent: int) -> None:
    numbers = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(silent)}
    command = [sys.executable, "-m", "alexrepro", "bench", "step", "--parallel", "tower", "--device", "cpu"]

    ended = subprocess.run(command, env=os.environ | numbers, capture_output=True, text=True, check=False)

    assert ended.returncode == Exit.WORKER_FAILED
    assert ended.stderr.splitlines()[-2].startswith(f"alexrepro: Port {silent}")
    assert "socket.cpp" not in ended.stderr
