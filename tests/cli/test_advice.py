"""Advice can be typed as it is printed: every command and option in it exists."""

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import typer

from alexrepro.cli.app import app
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012

SOURCE = Path(__file__).parents[2] / "src" / "alexrepro"
ADVICE = ("fix", "advice", "how", "HELP")  # values that hold what to type
SPEAKING = ("say", "print")  # functions that print it
FILLED_IN = "1"  # for what a message puts in, and for N, RUN and the like
OPTION, SETTING = re.compile(r"(?<![\w-])--[a-z][\w-]*"), re.compile(r"--set ([\w.]+)=")


def text_of(node: ast.AST) -> str:
    """The text of a string, with something in the place of what is put in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else FILLED_IN


def strings_in(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        yield text_of(node)
        return
    for child in ast.iter_child_nodes(node):
        yield from strings_in(child)


def advice_in(tree: ast.AST) -> Iterator[str]:
    """Every text that is given as advice, or assigned to a variable of such a name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in ADVICE:
            yield from strings_in(node.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SPEAKING:
            yield from strings_in(node)
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id in ADVICE for to in node.targets):
            yield from strings_in(node.value)


@cache
def all_advice() -> list[tuple[str, str]]:
    """Every piece of advice in the program, with the file where it stands."""
    files = sorted(SOURCE.rglob("*.py"))
    return [(str(file.relative_to(SOURCE)), text) for file in files for text in advice_in(ast.parse(file.read_text()))]


def commands_in(text: str) -> Iterator[list[str]]:
    """The words of every command in a text, to the end of its sentence or clause."""
    for rest in re.findall(r"(?<![\w./-])alexrepro ([a-z].*)", text):
        words = []
        for word in shlex.split(re.sub(r"[`'\"]", " ", rest.partition("`")[0])):
            if word in ("or", "wrote") or word.startswith("("):
                break
            plain = word.rstrip(".,;:)")
            if plain:
                words.append(FILLED_IN if re.fullmatch(r"[A-Z_]+(\.[a-z]+)?", plain) else plain)
            if plain != word:
                break
        yield words


def parse(words: list[str]) -> None:
    """Have the command line parsed as if it was typed, without running it."""
    command, names = typer.main.get_command(app), list(words)
    while hasattr(command, "commands"):
        assert names, f"{words} does not name a command"
        assert names[0] in command.commands, f"there is no command {names[0]}"
        command = command.commands[names.pop(0)]
    try:
        command.make_context(" ".join(words), names)
    except Exception as error:
        if type(error).__name__ not in ("MissingParameter", "Exit"):  # no arguments are named; --help
            raise


def test_every_command_in_advice_can_be_typed() -> None:
    commands = [words for _, text in all_advice() for words in commands_in(text)]

    assert len(commands) > 20
    for words in commands:
        parse(words)


def options_of(command: object) -> set[str]:
    subcommands = getattr(command, "commands", {})
    own = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}  # type: ignore[attr-defined]
    return own.union(*(options_of(sub) for sub in subcommands.values()))


def test_every_option_in_advice_exists() -> None:
    known = options_of(typer.main.get_command(app)) | {"--help"}

    named = {(file, option) for file, text in all_advice() for option in OPTION.findall(text)}

    assert len(named) > 40
    assert {(file, option) for file, option in named if option not in known} == set()


def test_every_field_in_advice_exists() -> None:
    fields = AS_RUN_2012.fields() | AS_PRINTED.fields()
    known = set(fields) | {path.rpartition(".")[0] for path in fields}

    named = {(file, path) for file, text in all_advice() for path in SETTING.findall(text) if FILLED_IN not in path}

    assert len(named) > 4
    assert {(file, path) for file, path in named if path not in known} == set()
