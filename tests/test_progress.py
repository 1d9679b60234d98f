"""Progress of long work on stderr that is not a terminal."""

import pytest

from alexrepro import progress
from alexrepro.progress import say


@pytest.mark.parametrize(
    ("total", "lines"),
    [
        (None, ["reading: 3 images", "reading: 6 images"]),
        (6, ["reading: 5/6 images, 0.2/s", "reading: 6/6 images, 0.3/s"]),
    ],
)
def test_counts_are_printed_from_time_to_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], total: int | None, lines: list[str]
) -> None:
    clock = iter([0.0, 1.0, 4.0, 6.0, 7.0, 20.0, 22.0])  # seconds, at the start and at each item
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))

    with progress.progress("reading", total=total) as advance:
        for _ in range(6):
            advance()

    assert capsys.readouterr().err.splitlines() == lines


def test_control_characters_of_a_name_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[31mb.JPEG\nthe second line")

    assert capsys.readouterr().err == "a\\x1b[31mb.JPEG\nthe second line\n"
