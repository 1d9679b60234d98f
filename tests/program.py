"""The program in a folder of its own, in this process, where torch is loaded once."""

import io
import json
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from alexrepro.__main__ import main

FIRST_RUN = Path(__file__).parents[1] / "docs" / "tutorials" / "first-run.md"
SMALL = ("--set", "network.fc6.maps=16", "--set", "network.fc7.maps=16")
WIDE = "200"  # columns, so that no row of a table is broken


class Done(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


class Program:
    """Commands typed in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: object, **environment: str) -> Done:
        out, err, code = io.StringIO(), io.StringIO(), 0
        with chdir(self.folder), redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["alexrepro", *map(str, arguments)])
            for name, value in {"COLUMNS": WIDE, **environment}.items():
                patch.setenv(name, value)
            try:
                main()
            except SystemExit as end:
                code = int(end.code or 0)
        return Done(code, out.getvalue(), err.getvalue())

    def shown(self, *arguments: object) -> str:
        """What a command prints on stdout; fails if it fails."""
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: object) -> dict[str, Any]:
        """The one object that a command prints on stdout."""
        found: dict[str, Any] = json.loads(self.shown(*arguments, "--json"))
        return found


def commands_of(page: Path) -> list[str]:
    """What a page says to type after `alexrepro`, in its order; comments left out."""
    lines = (line.partition(" #")[0].strip() for line in page.read_text(encoding="utf-8").splitlines())
    return [line.removeprefix("alexrepro ") for line in lines if line.startswith("alexrepro ")]
