"""The command reference as Markdown, read from the commands themselves."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import typer

from alexrepro.cli.app import app

COMMON = ("help", "install_completion", "show_completion")  # the same everywhere, or none of our own


def cli_reference() -> str:
    """Every command with its usage, help, arguments and options; the same text at any terminal width."""
    program = typer.main.get_command(app)
    context = typer.Context(program, info_name="alexrepro")
    about = "Every command takes `--help` (or `-h`). Results go to stdout, everything else to stderr."
    parts = ["# Commands", _escaped(program.help or ""), about, *_options(program, context)]
    for command, inner in _commands(program, context):
        parts += _section(command, inner)
    return "\n\n".join(parts) + "\n"


def command_names() -> list[str]:
    """Every command as it is typed after `alexrepro`, such as `train` and `recipes list`."""
    program = typer.main.get_command(app)
    context = typer.Context(program, info_name="alexrepro")
    return [inner.command_path.removeprefix("alexrepro ") for _, inner in _commands(program, context)]


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines = [headings, ["---"] * len(headings), *rows]
    cells = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _commands(group: Any, context: typer.Context) -> Iterator[tuple[Any, typer.Context]]:
    """The commands of a group and of the groups in it, without the groups, in the order of the help page."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = typer.Context(command, info_name=name, parent=context)
        if hasattr(command, "list_commands"):
            yield from _commands(command, inner)
        else:
            yield command, inner


def _section(command: Any, context: typer.Context) -> list[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    paragraphs = [_paragraph(text) for text in (command.help or "").strip().split("\n\n")]
    return [f"## {context.command_path}", f"```\n{usage}\n```", *paragraphs, *_options(command, context)]


def _paragraph(text: str) -> str:
    start, example, what = text.partition("Example:")
    if not example or start:
        return _escaped(text)
    return f"Example:\n\n```\n{what.strip()}\n```"


def _options(command: Any, context: typer.Context) -> list[str]:
    """One table of arguments and options with their defaults, or nothing if there are none."""
    own = [parameter for parameter in command.params if parameter.name not in COMMON]
    records = [record for record in (parameter.get_help_record(context) for parameter in own) if record]
    rows = [(f"`{name}`", _escaped(" ".join(meaning.split()))) for name, meaning in records]
    return [markdown_table(("argument or option", "meaning"), rows)] if rows else []


def _escaped(text: str) -> str:
    """The text with `<` kept from being read as HTML, except inside code."""
    parts = text.split("`")
    return "`".join(part if number % 2 else part.replace("<", r"\<") for number, part in enumerate(parts))
