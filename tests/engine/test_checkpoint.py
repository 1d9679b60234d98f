"""Checkpoints: exact, checksummed, and never half written."""

from pathlib import Path

import pytest
import torch

from alexrepro.engine import checkpoint
from alexrepro.engine.checkpoint import Checkpoint


def at_step(step: int) -> Checkpoint:
    generator = torch.Generator().manual_seed(step)
    weights = {"conv1.weight": torch.randn(4, 3, generator=generator)}
    return Checkpoint(step, weights, {"conv1.weight": torch.randn(4, 3, generator=generator)})


def test_what_was_saved_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    saved = at_step(7)

    checkpoint.save(tmp_path, saved)
    found = checkpoint.newest(tmp_path)

    assert found is not None
    assert found.step == 7
    assert torch.equal(found.weights["conv1.weight"], saved.weights["conv1.weight"])
    assert torch.equal(found.velocities["conv1.weight"], saved.velocities["conv1.weight"])


def test_the_two_newest_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 30):
        checkpoint.save(tmp_path, at_step(step))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000002", "step-000000030"]


@pytest.mark.parametrize("name", ["model.safetensors", "momentum.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_set_aside_for_the_one_before(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.save(tmp_path, at_step(1))
    damaged = checkpoint.save(tmp_path, at_step(2)) / name
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)

    found = checkpoint.newest(tmp_path)

    assert found is not None
    assert found.step == 1
    assert (tmp_path / "damaged-step-000000002").is_dir()
    assert "damaged" in capsys.readouterr().err


def test_a_half_written_checkpoint_is_not_one(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, at_step(1))
    (tmp_path / ".step-000000002.partial").mkdir()

    found = checkpoint.newest(tmp_path)

    assert found is not None
    assert found.step == 1
