"""Old options are answered with what to type now, which exists."""

import re

import pytest
import typer

from alexrepro.cli.app import app
from alexrepro.cli.renamed import EVERYWHERE, FOLDER, OPTIONS, refuse_renamed
from alexrepro.errors import Exit, UserError

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
KNOWN = {name: {o for p in command.params for o in (*p.opts, *p.secondary_opts)} for name, command in COMMANDS.items()}


ENTRIES = [(command, *entry) for command, old in OPTIONS.items() for entry in old.items()]
ENTRIES += [(command, *entry) for command in ("train", "evaluate", "predict", "doctor") for entry in EVERYWHERE.items()]


@pytest.mark.parametrize(("command", "option", "fix"), ENTRIES)
def test_an_old_option_is_answered_with_what_exists(command: str, option: str, fix: str) -> None:
    words = ["."] if option == FOLDER else ["--json", f"{option}=1"]

    with pytest.raises(UserError) as refused:
        refuse_renamed([command, *words])

    assert (refused.value.fix, refused.value.exit_code) == (fix, Exit.USAGE)
    assert option not in KNOWN[command]
    named = re.search(r"alexrepro ([a-z]+)", fix)
    assert set(re.findall(r"--[a-z-]+", fix)) <= KNOWN[named[1] if named else command] | {"--set"}
