"""The process from which workers are forked is silent about threads, and about a program that was killed."""

import sys
import warnings
from importlib import import_module

import pytest

from alexrepro.data.store.processes import FORK_SERVER


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.delitem(sys.modules, FORK_SERVER, raising=False)


def test_the_warning_of_python_3_12_about_threads_is_not_shown() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        import_module(FORK_SERVER)
        text = "This process (pid=1) is multi-threaded, use of fork() may lead to deadlocks in the child."
        warnings.warn(text, DeprecationWarning, stacklevel=1)
        warnings.warn("another", DeprecationWarning, stacklevel=1)

    assert [str(warning.message) for warning in shown] == ["another"]


def test_a_worker_whose_program_is_killed_while_it_starts_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        import_module(FORK_SERVER)

    sys.excepthook(EOFError, EOFError("Ran out of input"), None)
    assert capsys.readouterr().err == ""
    sys.excepthook(ValueError, ValueError("something else"), None)
    assert capsys.readouterr().err == "ValueError: something else\n"
