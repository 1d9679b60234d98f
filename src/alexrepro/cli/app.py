"""The commands of `alexrepro`, in four panels."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, get_type_hints

import typer
from typer.core import TyperCommand

from alexrepro.cli.ablate import ablate
from alexrepro.cli.bench import bench
from alexrepro.cli.compare import compare
from alexrepro.cli.convert import convert
from alexrepro.cli.describe import describe
from alexrepro.cli.doctor import doctor
from alexrepro.cli.evaluate import evaluate
from alexrepro.cli.facts import facts
from alexrepro.cli.features import features
from alexrepro.cli.predict import predict
from alexrepro.cli.prepare import prepare
from alexrepro.cli.recipes import recipes
from alexrepro.cli.report import report
from alexrepro.cli.submission import score, submit
from alexrepro.cli.train import train
from alexrepro.cli.verify import verify
from alexrepro.cli.watch import watch

app = typer.Typer(
    name="alexrepro",
    help="Reproduce the 2012 AlexNet paper: every table, figure and ablation next to our measurement.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
PANELS: dict[str, list[Callable[..., Any]]] = {
    "Reproduce": [prepare, train, watch, evaluate, compare, ablate, features, report],
    "Understand": [facts, describe],
    "Use": [predict, convert, submit, score],
    "Check": [doctor, verify, bench],
}


class PlainHelp(TyperCommand):
    """A command whose help has one column of options and one of text: rich's six leave 20 of 80 characters for text."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help as click does."""
        self.rich_markup_mode = None
        super().format_help(ctx, formatter)


def _leave_permissions_to_us(command: Callable[..., Any]) -> None:
    """Typer ends with 2 if a path may not be read; opening it ends with 77, as does whatever may not be written."""
    for hint in get_type_hints(command, include_extras=True).values():
        for info in getattr(hint, "__metadata__", ()):
            info.readable = False


for panel, commands in PANELS.items():
    for command in commands:
        _leave_permissions_to_us(command)
        app.command(cls=PlainHelp, rich_help_panel=panel)(command)
for info in recipes.registered_commands:
    info.cls = PlainHelp
app.add_typer(recipes, name="recipes", rich_help_panel="Understand")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"alexrepro {version('alexrepro')}")
        raise typer.Exit


@app.callback()
def _program(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    pass
