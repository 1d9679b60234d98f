"""Progress of long work on stderr that is not a terminal."""

import pytest

from alexrepro import progress
from alexrepro.progress import say


@pytest.mark.parametrize(
    ("total", "lines"),
    [
        (None, ["reading: 1 images, 0.5/s, after 2 s", "reading: 3 images, 0.4/s, after 7 s"]),
        (
            5,
            [
                "reading: 1/5, 0.5 images/s, after 2 s, 8 s left",
                "reading: 3/5, 0.4 images/s, after 7 s, 4 s left",
                "reading: 5/5, 0.6 images/s, after 9 s, 0 s left",
            ],
        ),
    ],
)
def test_the_first_item_is_printed_at_once_the_last_one_always_and_others_every_five_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], total: int | None, lines: list[str]
) -> None:
    clock = iter([0.0, 2.0, 4.0, 7.0, 8.0, 9.0])  # seconds, at the start and at each item
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))

    with progress.progress("reading", total=total) as advance:
        for _ in range(5):
            advance()

    assert capsys.readouterr().err.splitlines() == lines


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (120, "epoch 89/90: 640,000/1,281,167, 2,560 images/s, loss 4.310 (chance 6.908), after 4 min, 4 min left"),
        (88, "epoch 89/90: 640,000/1,281,167, 2,560 images/s, loss 4.310, after 4 min, 4 min left"),
        (80, "epoch 89/90: 640,000/1,281,167, 2,560/s, loss 4.310, after 4 min, 4 min left"),
        (70, "epoch 89/90: 640,000/1,281,167, 2,560/s, after 4 min, 4 min left"),
    ],
)
def test_a_narrow_terminal_shows_the_pace_and_both_times_before_anything_else(width: int, line: str) -> None:
    work = progress.Work("epoch 89/90", 1_281_167, "images", 0, 0.0, 640_000, "loss 4.310 (chance 6.908)")

    assert work.line(250.0, width) == line


def test_a_slow_pace_is_no_zero() -> None:
    assert "1/2, 0.02 rounds/s" in progress.Work("timing", 2, "rounds", 0, 0.0, 1).line(50.0, 80)


def test_work_that_is_done_shows_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress("verify", total=0) as advance:
        advance(0, "")

    assert capsys.readouterr().err == ""


def test_control_characters_of_a_name_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[31mb.JPEG\nthe second line")

    assert capsys.readouterr().err == "a\\x1b[31mb.JPEG\nthe second line\n"
