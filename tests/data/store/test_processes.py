"""The process from which workers are forked is silent about threads whose libraries prepare a fork."""

import importlib
import warnings

from alexrepro.data.store import fork_server


def test_the_warning_of_python_3_12_about_threads_is_not_shown() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        importlib.reload(fork_server)
        text = "This process (pid=1) is multi-threaded, use of fork() may lead to deadlocks in the child."
        warnings.warn(text, DeprecationWarning, stacklevel=1)
        warnings.warn("another", DeprecationWarning, stacklevel=1)

    assert [str(warning.message) for warning in shown] == ["another"]
