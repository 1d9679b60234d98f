"""What tables print of text that others wrote."""

import pytest

from alexrepro.cli.show import print_table


def test_names_in_tables_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("\x1b[2J.jpg", ["class"], [["red\x1b[31m\x9b1m"]])
    said = capsys.readouterr().out
    assert "\\x1b[2J.jpg" in said
    assert "red\\x1b[31m\\x9b1m" in said
