"""Checkpoints: exact, checksummed, never half written, and never believed when they are not as they were written."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as as_bytes

from alexrepro.errors import Exit, UserError
from alexrepro.runs import checkpoint
from alexrepro.runs.checkpoint import Checkpoint

FILES = ("model.safetensors", "optimizer.safetensors", "state.json")


def at_step(step: int) -> Checkpoint:
    generator = torch.Generator().manual_seed(step)
    weights = {"conv1.weight": torch.randn(4, 3, generator=generator)}
    return Checkpoint(step, weights, {"conv1.weight": torch.randn(4, 3, generator=generator)})


def is_at_step(found: Checkpoint | None, step: int) -> bool:
    """Whether a checkpoint is that of the step, bit for bit."""
    both = [(each.step, as_bytes(dict(each.weights)), as_bytes(dict(each.optimizer)))
            for each in (found, at_step(step)) if each is not None]  # fmt: skip
    return len(both) == 2 and both[0] == both[1]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def replace_with_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def take_from_another(file: Path) -> None:
    """A file of the checkpoint before; the state of another step, too."""
    shutil.copy(file.parents[1] / "step-000000001" / file.name, file)


DAMAGES = (damage, Path.unlink, replace_with_folder, take_from_another)


def test_what_was_saved_is_read_back_bit_for_bit_and_the_two_newest_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 9, 30):
        checkpoint.save(tmp_path, at_step(step))

    assert names(tmp_path) == ["step-000000009", "step-000000030"]
    assert is_at_step(checkpoint.newest(tmp_path), 30)
    assert is_at_step(checkpoint.recover(tmp_path), 30)
    assert is_at_step(checkpoint.read(tmp_path / "step-000000009"), 9)


def test_what_is_there_already_but_damaged_is_written_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(checkpoint.save(tmp_path, at_step(1)) / "model.safetensors")

    checkpoint.save(tmp_path, at_step(1))

    assert is_at_step(checkpoint.newest(tmp_path), 1)
    assert names(tmp_path) == ["damaged-step-000000001", "step-000000001"]
    assert "model.safetensors does not have its checksum" in capsys.readouterr().err


@pytest.mark.parametrize("spoil", DAMAGES, ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_checkpoint_is_set_aside_for_the_one_before_by_the_process_that_trains(
    tmp_path: Path, name: str, spoil: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.save(tmp_path, at_step(1))
    saved = checkpoint.save(tmp_path, at_step(30))
    spoil(saved / name)
    (tmp_path / ".step-000000031.partial").mkdir()  # another process is writing it, or a crash has left it
    before, content = names(tmp_path), names(saved)

    with pytest.raises(UserError, match=rf"is damaged \({name}"):
        checkpoint.read(saved)
    assert is_at_step(checkpoint.newest(tmp_path), 1)
    assert names(tmp_path) == before
    assert is_at_step(checkpoint.recover(tmp_path), 1)
    assert names(tmp_path) == ["damaged-step-000000030", "step-000000001"]
    assert names(tmp_path / "damaged-step-000000030") == content
    assert capsys.readouterr().err.endswith(
        "is now damaged-step-000000030; the one before it is used: 29 steps are lost and repeated.\n"
    )


def test_a_run_whose_checkpoints_are_all_damaged_is_refused(tmp_path: Path) -> None:
    for step in (1, 2):
        damage(checkpoint.save(tmp_path, at_step(step)) / "state.json")

    for find in (checkpoint.newest, checkpoint.recover):
        with pytest.raises(UserError, match="All checkpoints") as refused:
            find(tmp_path)
        assert refused.value.exit_code is Exit.BAD_DATA
    assert names(tmp_path) == ["step-000000001", "step-000000002"]


def test_an_error_that_may_pass_sets_nothing_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, at_step(1))

    def too_many(path: Path) -> bytes:
        raise OSError(24, "Too many open files", str(path))

    monkeypatch.setattr(Path, "read_bytes", too_many)
    with pytest.raises(OSError, match="Too many open files"):
        checkpoint.recover(tmp_path)

    assert names(tmp_path) == ["step-000000001"]


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", FILES)
def test_no_change_of_a_file_goes_unseen(tmp_path: Path, name: str, every: int) -> None:
    file = checkpoint.save(tmp_path / "checkpoints", at_step(2)) / name
    whole = file.read_bytes()
    changes = [whole[: bit // 8] + bytes([whole[bit // 8] ^ 1 << bit % 8]) + whole[bit // 8 + 1 :]
               for bit in range(0, 8 * len(whole), every)]  # fmt: skip
    changes += [whole[:length] for length in range(len(whole) - 1, -1, -every)]
    changes += [whole + more for more in (b"\0", b"\n", whole)]

    for content in changes:
        file.write_bytes(content)
        with pytest.raises(UserError, match="is damaged"):
            checkpoint.read(file.parent)

    file.write_bytes(whole)
    assert is_at_step(checkpoint.read(file.parent), 2)
