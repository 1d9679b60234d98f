"""Whatever terminal, pipe, encoding and shell do, a command ends with its code and without a traceback."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import alexrepro.__main__ as program
from alexrepro.cli.app import app
from alexrepro.distributed import rank
from alexrepro.errors import UserError

PROGRAM = (sys.executable, "-m", "alexrepro")
ASCII = {"PYTHONIOENCODING": "ascii"}
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def in_shell(shell: str, *words: str | bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The program with these words, as `"$@"` in a line of a shell."""
    command = ["bash", "-c", shell, "bash", *PROGRAM, *words]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, check=False)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("words", "environment"), [(["facts"], C_LOCALE), (["facts", "--json"], ASCII)])
def test_what_a_terminal_cannot_show_is_written_otherwise(words: list[str], environment: dict[str, str]) -> None:
    done = in_shell('"$@"', *words, **environment)

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


@pytest.mark.parametrize("words", [["facts", "--json"], ["train", "--help"]])
def test_a_reader_who_has_seen_enough_ends_nothing(words: list[str]) -> None:
    done = in_shell('"$@" | :; echo ${PIPESTATUS[0]}', *words)

    assert (done.stdout, done.stderr) == (b"0\n", b"")


def test_closed_streams_are_not_written_into_files(tmp_path: Path) -> None:
    done = in_shell('"$@" <&- >&- 2>&-', "describe", "--figure", "net.svg")

    assert done.returncode == 0
    drawn = (tmp_path / "net.svg").read_text(encoding="utf-8")
    assert (drawn[:5], drawn.rstrip()[-6:]) == ("<?xml", "</svg>")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_behind_stdout_is_told() -> None:
    done = in_shell('"$@" > /dev/full', "facts")

    assert done.returncode == 74
    assert done.stderr.splitlines()[0] == b"alexrepro: No space left on device: standard output."
    assert len(done.stderr.splitlines()) == 2


def test_figures_are_drawn_whatever_a_notebook_has_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "module://not_installed.backend")
    monkeypatch.setattr(program, "app", lambda _: None)

    program.main()

    assert os.environ["MPLBACKEND"] == "agg"


def test_a_cuda_toolkit_without_a_gpu_is_not_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "app", lambda _: None)

    program.main()

    assert not logging.getLogger("torch.utils.cpp_extension").isEnabledFor(logging.WARNING)


@pytest.mark.parametrize(
    ("argument", "means"),
    [
        ("~/stores", "HOME/stores"),
        ("--out=~/stores", "--out=HOME/stores"),
        ("~", "HOME"),
        ("~x.jpg", "~x.jpg"),
        ("--set=a=~/b", "--set=a=~/b"),
        ("./~/b", "./~/b"),
        ("a~b", "a~b"),
    ],
)
def test_a_tilde_is_the_home_folder_where_a_shell_would_say_so(
    argument: str, means: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(sys, "argv", ["alexrepro", argument])
    monkeypatch.setattr(program, "app", given.extend)

    program.main()

    assert given == [means.replace("HOME", "/home/me")]


def test_a_current_folder_that_was_deleted_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    with pytest.raises(SystemExit, match="66"):
        program.main()

    assert "the current folder" in capsys.readouterr().err


def test_ranks_do_not_each_make_all_trainings_of_an_ablation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank, "signal_when_parent_ends", lambda _: None)
    started = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "host1", "MASTER_PORT": "29500"}

    refused = CliRunner(env=started).invoke(app, ["ablate", "tanh"]).exception

    assert isinstance(refused, UserError)
    assert "rank 1 of 2, and ablate trains in one process" in refused.what
