"""What long work says on stderr where that is no terminal."""

import pytest

from alexrepro import progress
from alexrepro.progress import counting


def test_a_count_is_said_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 1.0, 4.0, 6.0, 7.0, 20.0, 22.0])  # seconds, at the start and at each item
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))

    with counting("reading a.tar") as count:
        for _ in range(6):
            count()

    assert capsys.readouterr().err.splitlines() == ["reading a.tar: 3 photos", "reading a.tar: 6 photos"]
