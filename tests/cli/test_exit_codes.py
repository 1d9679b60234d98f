"""Every exit code is explained on a page, and some command ends with it."""

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import alexrepro.__main__ as program
from alexrepro.errors import Exit

from ..program import Program
from ..toy import write_images

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reference" / "exit-codes.md"


def damaged_store(folder: Path) -> list[str]:
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    return ["verify", str(folder)]


def below_a_file(folder: Path) -> list[str]:
    (folder / "file").touch()
    return ["describe", "--figure", "file/network.svg"]


def stores_in_the_way(folder: Path) -> list[str]:
    (folder / "stores").touch()
    write_images(folder / "photos", {"train": 1})
    return ["prepare", "photos", "--workers", "1"]


# What is cheap to provoke: a command in a folder of its own, its code, and what it says in two lines.
CHEAP: list[tuple[Callable[[Path], list[str]], Exit, str]] = [
    (lambda _: ["recipes", "list"], Exit.OK, ""),
    (lambda _: ["recipes", "show", "tinny"], Exit.USAGE, "There is no recipe tinny; did you mean tiny?"),
    (lambda _: ["recipes", "diff", "tiny", "x9"], Exit.USAGE, "There is no recipe x9."),
    (lambda _: ["describe", ""], Exit.USAGE, "There is no recipe ."),
    (lambda _: ["facts", "P99"], Exit.USAGE, "No statement is called P99."),
    (lambda _: ["describe", "--set", "network.pool_pxx=2"], Exit.USAGE, "no field 'pool_pxx'; did you mean pool?"),
    (lambda _: ["train", "--epoch"], Exit.USAGE, ""),  # in typer's words
    (lambda _: ["train", "--log", "aim"], Exit.USAGE, "aim"),  # and not MISSING_INPUT, as without a store
    (damaged_store, Exit.BAD_DATA, ""),  # in a table
    (lambda _: ["evaluate"], Exit.MISSING_INPUT, "There is no run under runs."),
    (lambda _: ["train"], Exit.MISSING_INPUT, "alexrepro prepare"),
    (lambda _: ["recipes", "show", "absent.toml"], Exit.MISSING_INPUT, "absent.toml"),
    (lambda _: ["bench", "--device", "cuda:99"], Exit.NO_DEVICE, "cuda:99"),
    (below_a_file, Exit.CANNOT_CREATE, "file"),
    (stores_in_the_way, Exit.CANNOT_CREATE, "stores"),
    (
        lambda folder: ["describe", "--figure", str(folder / "sealed/network.svg")],
        Exit.NO_PERMISSION,
        "Permission denied",
    ),
    (lambda folder: ["evaluate", "--runs", str(folder / "sealed")], Exit.NO_PERMISSION, "Permission denied"),
    (lambda folder: ["train", "--store", str(folder / "sealed")], Exit.NO_PERMISSION, "Permission denied"),
    (lambda _: ["describe", "--set", "network.towers=0"], Exit.BAD_CONFIG, "network.towers"),
    (lambda _: ["describe", "--set", "network.conv2.maps=255"], Exit.BAD_CONFIG, "network.conv2.maps must divide"),
]
# What takes several processes, signals, a small disk or too little memory, and the tests that provoke it.
ELSEWHERE = {
    Exit.WORKER_FAILED: "distributed/test_failures.py::test_a_failure_is_reported_and_leaves_no_process",
    Exit.OUT_OF_MEMORY: "training/test_device.py::test_too_little_memory_asks_for_a_smaller_batch",
    Exit.IO_ERROR: "data/store/test_interruptions.py::test_a_full_disk_is_named_and_work_continues_with_more_space",
    Exit.STOPPED: "distributed/test_failures.py::test_a_failure_is_reported_and_leaves_no_process",
    Exit.INTERRUPTED: "training/test_signals.py::test_a_signal_before_the_training_ends_the_program_with_the_same_code",
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a sealed one in it."""
    (tmp_path / "sealed").mkdir(mode=0o000)
    yield tmp_path
    (tmp_path / "sealed").chmod(0o700)


@pytest.mark.parametrize(("command", "code", "said"), CHEAP)
def test_a_command_ends_with_the_code_and_two_lines(
    command: Callable[[Path], list[str]], code: Exit, said: str, folder: Path
) -> None:
    words = command(folder)
    is_root_where_it_matters = code is Exit.NO_PERMISSION and os.geteuid() == 0
    if is_root_where_it_matters:  # root may do anything; nobody may not even import, so that comes first
        Program(folder)("describe", "--figure", "network.svg")
        os.seteuid(65_534)
    try:
        done = Program(Path("/") if is_root_where_it_matters else folder)(*words)
    finally:
        if is_root_where_it_matters:
            os.seteuid(0)

    assert done.returncode == code
    if said:
        what, fix = done.stderr.splitlines()[-2:]
        assert (what.startswith("alexrepro: "), said in what + fix) == (True, True), done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(errno.EIO, "Input/output error", "/data/x"), Exit.IO_ERROR, "Input/output error: /data/x."),
        (OSError(errno.ESTALE, "Stale file handle"), Exit.IO_ERROR, "Stale file handle."),
        (OSError(errno.ENOENT, "No such file or directory", "x"), Exit.MISSING_INPUT, "No such file or directory: x."),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x"), Exit.CANNOT_CREATE, "File name too long: x."),
        (MemoryError(), Exit.OUT_OF_MEMORY, "Memory ran out."),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), Exit.OUT_OF_MEMORY, "Memory ran out."),
        (
            UnicodeEncodeError("utf-8", "cats\udce9", 4, 5, "surrogates not allowed"), Exit.USAGE,
            "cats\\udce9 has bytes that are not text, perhaps in a name.",
        ),
    ],
)  # fmt: skip
def test_what_the_system_refuses_is_said_in_two_lines(
    error: Exception, code: Exit, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(args: list[str]) -> None:
        raise error

    monkeypatch.setattr(program, "app", fail)

    done = Program(tmp_path)()

    first, _ = done.stderr.splitlines()
    assert (done.returncode, first) == (code, f"alexrepro: {said}")


def test_every_code_is_provoked_by_some_test() -> None:
    assert {code for _, code, _ in CHEAP} | set(ELSEWHERE) == set(Exit)
    for pin in ELSEWHERE.values():
        file, _, name = pin.partition("::")
        assert f"def {name}(" in (TESTS / file).read_text(encoding="utf-8")


def test_every_code_is_explained_on_its_page() -> None:
    explained = [
        int(code) for code in re.findall(r"^\| \*\*(\d+)\*\* \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    ]

    assert explained == [int(code) for code in Exit]
