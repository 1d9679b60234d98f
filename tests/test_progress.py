"""Progress of long work on stderr that is not a terminal."""

import pytest

from alexrepro import progress
from alexrepro.progress import counting, say


def test_a_count_is_printed_from_time_to_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 1.0, 4.0, 6.0, 7.0, 20.0, 22.0])  # seconds, at the start and at each item
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))

    with counting("reading a.tar") as count:
        for _ in range(6):
            count()

    assert capsys.readouterr().err.splitlines() == ["reading a.tar: 3 images", "reading a.tar: 6 images"]


def test_control_characters_of_a_name_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[31mb.JPEG\nthe second line")

    assert capsys.readouterr().err == "a\\x1b[31mb.JPEG\nthe second line\n"
