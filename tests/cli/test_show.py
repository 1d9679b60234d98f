"""What tables print of text that others wrote, and what fits a screen."""

import pytest
import typer
from typer.testing import CliRunner

from alexrepro.cli.app import app
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


def test_commands_have_few_options_and_the_help_fits_a_screen() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    counts = {name: sum(p.param_type_name == "option" for p in command.params) for name, command in commands.items()}

    shown = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["--help"]).stdout

    assert {name: count for name, count in counts.items() if count > 12} == {}
    assert len(shown.splitlines()) <= 40


def test_help_leaves_room_for_text_in_a_narrow_terminal() -> None:
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["train", "--help"]).stdout.splitlines()

    assert max(map(len, shown)) <= 80
    assert len(shown) <= 50


def test_what_has_no_room_continues_below_its_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns, row = ["run", "top-1", "published", "verdict"], ["tiny", "37.5 %", "40.7 % / 18.2 %", "noise; shortened"]

    monkeypatch.setenv("COLUMNS", "40")
    print_table("title", columns, [row], right=["top-1"])

    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "title",
        "run    top-1  published",
        "─────────────────────────────",
        "tiny  37.5 %  40.7 % / 18.2 %",
        "    verdict: noise; shortened",
    ]


def test_a_path_longer_than_a_line_is_not_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    path = "/data/" + "imagenet/" * 9

    print_table(path, ["split", "store"], [["train", path]])
    print_table("paths", ["path"], [[path]])

    assert [path in line for line in capsys.readouterr().out.splitlines()].count(True) == 3
