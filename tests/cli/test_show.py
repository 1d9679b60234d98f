"""What tables print of text that others wrote."""

import pytest

from alexrepro.cli.show import print_table


def test_names_in_tables_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("\x1b[2J.jpg", ["class"], [["red\x1b[31m\x9b1m"]])
    said = capsys.readouterr().out
    assert "\\x1b[2J.jpg" in said
    assert "red\\x1b[31m\\x9b1m" in said


def test_a_table_fits_100_columns_and_breaks_no_word_that_fits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)  # which pytest-xdist sets
    rows = [["ilsvrc2010-miniature-test", "a few words", "lorem ipsum " * 20, "+1.4 / +1.2"]] * 2

    print_table("title", ["split", "b", "c", "d"], rows)

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) == 100
    assert sum("ilsvrc2010-miniature-test" in line for line in lines) == 2
    assert sum("a few words" in line for line in lines) == 2
