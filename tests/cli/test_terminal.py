"""Whatever terminal, pipe, encoding and shell do, a command ends with its code and without a traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alexrepro.cli.arguments import read_arguments
from alexrepro.errors import UserError

PROGRAM = [sys.executable, "-m", "alexrepro"]
ASCII = {"PYTHONIOENCODING": "ascii"}
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def ended(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*PROGRAM, *command.split()], cwd=folder, env=os.environ | environment, capture_output=True, check=False
    )


@pytest.mark.parametrize("environment", [ASCII, C_LOCALE], ids=["ascii", "C"])
@pytest.mark.parametrize("command", ["facts", "ablate", "facts --json"])
def test_what_a_terminal_cannot_show_is_written_otherwise(
    command: str, environment: dict[str, str], tmp_path: Path
) -> None:
    done = ended(command, tmp_path, **environment)

    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert done.stdout.isascii()


def test_sizes_are_readable_in_ascii(tmp_path: Path) -> None:
    assert b" 55x55x96 " in ended("describe", tmp_path, **ASCII).stdout


@pytest.mark.parametrize("command", ["facts --json", "train --help"])
def test_a_reader_who_has_seen_enough_ends_nothing(command: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*PROGRAM, *command.split()], cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams_are_not_written_into_files(closed: str, tmp_path: Path) -> None:
    shell = f'"$@" {closed}'
    done = subprocess.run(
        ["bash", "-c", shell, "bash", *PROGRAM, "describe", "--svg", "net.svg"], cwd=tmp_path, check=False
    )

    assert done.returncode == 0
    assert (tmp_path / "net.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert (tmp_path / "net.svg").read_text(encoding="utf-8").rstrip().endswith("</svg>")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_behind_stdout_is_told(tmp_path: Path) -> None:
    done = subprocess.run(["bash", "-c", '"$@" > /dev/full', "bash", *PROGRAM, "facts"], stderr=-1, check=False)

    assert done.returncode == 74
    assert done.stderr.splitlines()[0] == b"alexrepro: No space left on device: standard output."
    assert len(done.stderr.splitlines()) == 2


def test_figures_are_drawn_whatever_a_notebook_has_for_them(tmp_path: Path) -> None:
    done = ended("describe --svg net.svg", tmp_path, MPLBACKEND="module://not_installed.backend")

    assert done.returncode == 0
    assert (tmp_path / "net.svg").exists()


@pytest.mark.parametrize(
    ("argument", "means"),
    [
        ("~/stores", "HOME/stores"),
        ("--out=~/stores", "--out=HOME/stores"),
        ("~", "HOME"),
        ("~x.jpg", "~x.jpg"),  # a file of that name is there
        ("--set=a=~/b", "--set=a=~/b"),
        ("./~/b", "./~/b"),
        ("a~b", "a~b"),
    ],
)
def test_a_tilde_is_the_home_folder_where_a_shell_would_say_so(
    argument: str, means: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "~").mkdir()  # left by a program that did not know
    (tmp_path / "~x.jpg").touch()

    assert read_arguments([argument]) == [means.replace("HOME", str(tmp_path / "home"))]


@pytest.mark.parametrize(
    ("argument", "said"),
    [("~nobody-here/x", "~nobody-here/x cannot be found: the home folder of nobody-here"), ("a\udce9", "are not text")],
)
def test_an_argument_that_is_no_path_is_refused(argument: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_arguments(["--out", argument])


def test_a_folder_with_a_name_that_is_no_text_is_told_when_it_has_to_be_recorded(tmp_path: Path) -> None:
    done = subprocess.run([*PROGRAM, "report", "all", "--out", b"rep\xe9"], cwd=tmp_path, stderr=-1, check=False)

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2


def test_a_current_folder_that_was_deleted_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()

    done = subprocess.run(
        ["bash", "-c", 'rmdir "$PWD"; "$@"', "bash", *PROGRAM, "doctor"], cwd=gone, stderr=-1, check=False
    )

    assert done.returncode == 66
    assert done.stderr.splitlines()[0] == b"alexrepro: The current folder is not there any more."


def test_no_folder_for_temporary_files_is_told_with_its_variable(tmp_path: Path) -> None:
    program = (
        "import tempfile, sys\ntempfile._candidate_tempdir_list = lambda: ['/nowhere']\n"
        "from alexrepro.__main__ import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "bench", "tiny"], cwd=tmp_path,
        stderr=-1, check=False,
    )  # fmt: skip

    assert done.returncode == 73
    assert done.stderr.splitlines()[-1] == b"Set TMPDIR to a folder that can be written."


def test_the_commands_that_need_no_signals_work_where_some_are_missing() -> None:
    program = (
        "import enum, signal\ndel signal.SIGUSR1, signal.SIGHUP\n"
        "signal.Signals = enum.IntEnum('Signals', {s.name: s.value for s in signal.Signals if s.name[3:] not in "
        "('USR1', 'HUP')})\n"
        "from alexrepro.__main__ import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", program, "--help"], capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_signal_ends_doctor_at_once_with_its_code(sent: signal.Signals, code: int, tmp_path: Path) -> None:
    command = [*PROGRAM, "doctor", "--device", "cpu"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True) as program:
        assert program.stderr is not None
        next(line for line in program.stderr if line.startswith("Checking the machine"))
        os.killpg(program.pid, sent)
        said = program.stderr.read()

    assert program.returncode == code
    assert said.splitlines()[-2].startswith(f"alexrepro: Stopped by {sent.name} at once")
    assert "Traceback" not in said


def test_ranks_do_not_each_make_all_trainings_of_an_ablation(tmp_path: Path) -> None:
    done = ended("ablate tanh", tmp_path, RANK="1", WORLD_SIZE="2", MASTER_ADDR="host1", MASTER_PORT="29500")

    assert done.returncode == 2
    assert done.stderr.startswith(b"alexrepro: This is rank 1 of 2, and ablate trains in one process.")
