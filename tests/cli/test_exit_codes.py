"""Every exit code is explained on a page, and some command ends with it."""

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import alexrepro.__main__ as program
from alexrepro.__main__ import main
from alexrepro.errors import Exit

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reference" / "exit-codes.md"


def damaged_store(folder: Path) -> list[str]:
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    return ["verify", str(folder)]


def below_a_file(folder: Path) -> list[str]:
    (folder / "file").touch()
    return ["describe", "--svg", str(folder / "file" / "network.svg")]


# What is cheap to provoke; a command that ends with the code, in a folder of its own.
CHEAP: dict[Exit, Callable[[Path], list[str]]] = {
    Exit.OK: lambda _: ["recipes", "list"],
    Exit.USAGE: lambda _: ["recipes", "show", "alexnet-2011"],
    Exit.BAD_DATA: damaged_store,
    Exit.MISSING_INPUT: lambda folder: ["evaluate", "--runs", str(folder)],
    Exit.NO_DEVICE: lambda _: ["bench", "--device", "cuda:99"],
    Exit.CANNOT_CREATE: below_a_file,
    Exit.NO_PERMISSION: lambda folder: ["describe", "--svg", str(folder / "sealed" / "network.svg")],
    Exit.BAD_CONFIG: lambda _: ["describe", "--set", "network.towers=0"],
}
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


def code_of(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["alexrepro", *arguments])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize("expected", CHEAP, ids=lambda code: code.name)
def test_a_command_ends_with_the_code(
    expected: Exit, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = CHEAP[expected](folder)
    is_root_where_it_matters = expected is Exit.NO_PERMISSION and os.geteuid() == 0
    if is_root_where_it_matters:  # root may do anything
        os.seteuid(65_534)
    try:
        code = code_of(arguments, monkeypatch)
    finally:
        if is_root_where_it_matters:
            os.seteuid(0)

    assert code == expected
    assert (capsys.readouterr().err.count("alexrepro: ") == 1) is (expected not in {Exit.OK, Exit.BAD_DATA})


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
    error: Exception, code: Exit, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: list[str]) -> None:
        raise error

    monkeypatch.setattr(program, "app", fail)

    assert code_of([], monkeypatch) == code
    first, _ = capsys.readouterr().err.splitlines()
    assert first == f"alexrepro: {said}"


def test_every_code_is_provoked_by_some_test() -> None:
    assert set(CHEAP) | set(ELSEWHERE) == set(Exit)
    for pin in ELSEWHERE.values():
        file, _, name = pin.partition("::")
        assert f"def {name}(" in (TESTS / file).read_text(encoding="utf-8")


def test_every_code_is_explained_on_its_page() -> None:
    explained = [
        int(code) for code in re.findall(r"^\| \*\*(\d+)\*\* \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    ]

    assert explained == [int(code) for code in Exit]


def test_an_unknown_option_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_of(["train", "--epoch"], monkeypatch) == Exit.USAGE


def test_an_unknown_logger_is_refused_before_a_store_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert code_of(["train", "--log", "aim"], monkeypatch) == Exit.USAGE  # and not MISSING_INPUT, as without a store
