"""Two ranks on two null devices: replicas with parts of a batch of every size, and towers."""

import pytest

from ..ranks import free_port
from .conftest import Train
from .null_gpu import UNCOMPILED, images_copied, kinds, last_steps, steps


def two_ranks() -> list[dict[str, str]]:
    """The variables that torchrun gives them, whose launcher would load torch in each rank anew."""
    port = str(free_port())
    return [
        {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}
        | {"MASTER_PORT": port}
        for rank in "01"
    ]


@pytest.mark.parametrize("option", ["--compile", "--no-compile"])
def test_replicas_go_on_with_full_partial_and_empty_parts_of_a_batch(train: Train, option: str) -> None:
    ended = train(
        "--parallel", "data", option, "--epochs", "2", devices=2, ranks=two_ranks(), change={"training.batch": 13},
        **UNCOMPILED,
    )  # fmt: skip
    assert ended.code == 0, ended.err  # 40 images are three batches of 13 and one of a single image
    assert "Not " not in ended.err  # compiled or recorded
    assert [log[0].device for log in ended.logs] == [0, 1]
    assert all(event.device == log[0].device for log in ended.logs for event in log)
    for log in ended.logs:
        recorded = [kinds(step)["graph"] for step in steps(log)]
        assert recorded == ([1, 1, 1, 0] * 2 if option == "--compile" else [0] * 8)


@pytest.mark.parametrize("option", ["--compile", "--no-compile"])
def test_two_towers_exchange_maps_and_halves_of_a_batch_by_nccl(train: Train, option: str) -> None:
    is_compiled = option == "--compile"
    how, launched = ((), {"ranks": two_ranks(), **UNCOMPILED}) if is_compiled else (("--gpus", "2"), {})
    ended = train("--epochs", "1", option, *how, devices=2, **launched)
    assert ended.code == 0, ended.err
    logs = [log for log in ended.logs if steps(log)]
    assert len(logs) == 2
    for log in logs:  # of a batch of eight, the rank's own loader has decoded half
        assert images_copied(steps(log)) == [4, 4, 4, 4, 0]
        if is_compiled:  # the exchanges are a part of the recorded step
            assert kinds(last_steps(log))["graph"] == 3
            assert [event.name for event in last_steps(log) if event.kind == "nccl"] == ["ncclAllGather"] * 3
            continue
        assert {"ncclAllGather", "ncclReduceScatter"} <= {
            event.name for event in last_steps(log) if event.kind == "nccl"
        }
