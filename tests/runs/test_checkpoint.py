"""Checkpoints: exact, checksummed, never half written, and never believed when they are not as they were written."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

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
    saved = at_step(step)
    return (
        found is not None
        and found.step == step
        and torch.equal(found.weights["conv1.weight"], saved.weights["conv1.weight"])
        and torch.equal(found.optimizer["conv1.weight"], saved.optimizer["conv1.weight"])
    )


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
    assert capsys.readouterr().err.endswith("is now damaged-step-000000030; its steps are repeated.\n")


def test_a_checkpoint_under_the_name_of_another_step_is_damage(tmp_path: Path) -> None:
    saved = checkpoint.save(tmp_path, at_step(2))
    shutil.copytree(saved, tmp_path / "step-000000009")

    assert is_at_step(checkpoint.recover(tmp_path), 2)


@pytest.mark.parametrize("find", [checkpoint.newest, checkpoint.recover], ids=["newest", "recover"])
def test_a_run_whose_checkpoints_are_all_damaged_is_refused(
    tmp_path: Path, find: Callable[[Path], Checkpoint | None]
) -> None:
    for step in (1, 2):
        damage(checkpoint.save(tmp_path, at_step(step)) / "state.json")

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


def changed(folder: Path, *, every: int) -> Iterator[tuple[str, Path, bytes]]:
    """Changes of each file: a bit flipped, cut short, or continued."""
    for name in FILES:
        whole = (folder / name).read_bytes()
        for bit in range(0, 8 * len(whole), every):
            content = bytearray(whole)
            content[bit // 8] ^= 1 << bit % 8
            yield f"bit {bit} of {name}", folder / name, bytes(content)
        for length in range(len(whole) - 1, -1, -every):
            yield f"{length} bytes of {name}", folder / name, whole[:length]
        for more in (b"\0", b"\n", whole):
            yield f"{name} and {len(more)} bytes", folder / name, whole + more


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.long)])
def test_no_change_of_a_file_goes_unseen(tmp_path: Path, every: int) -> None:
    saved = checkpoint.save(tmp_path / "checkpoints", at_step(2))
    contents = {file: file.read_bytes() for file in saved.iterdir()}
    unseen, tried = [], 0

    for what, file, content in changed(saved, every=every):
        tried += 1
        file.write_bytes(content)
        try:
            checkpoint.read(saved)
            unseen.append(what)
        except UserError:
            pass
        file.write_bytes(contents[file])

    assert unseen == []
    assert tried > 4_000 / every
    assert is_at_step(checkpoint.read(saved), 2)
