"""The program `alexrepro`: its commands in four panels, and errors as two lines with an exit code."""

import sys
from importlib.metadata import version

import typer

from alexrepro.cli.ablate import ablate
from alexrepro.cli.describe import describe
from alexrepro.cli.evaluate import evaluate
from alexrepro.cli.facts import facts
from alexrepro.cli.prepare import prepare
from alexrepro.cli.recipes import recipes
from alexrepro.cli.report import report
from alexrepro.cli.train import train
from alexrepro.errors import Refusal

app = typer.Typer(
    name="alexrepro",
    help="Reproduce the 2012 AlexNet paper: every table, figure and ablation beside what was measured.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(rich_help_panel="Reproduce")(prepare)
app.command(rich_help_panel="Reproduce")(train)
app.command(rich_help_panel="Reproduce")(evaluate)
app.command(rich_help_panel="Reproduce")(ablate)
app.command(rich_help_panel="Reproduce")(report)
app.command(rich_help_panel="Understand")(facts)
app.add_typer(recipes, name="recipes", rich_help_panel="Understand")
app.command(rich_help_panel="Understand")(describe)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"alexrepro {version('alexrepro')}")
        raise typer.Exit


@app.callback()
def _program(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def main() -> None:
    """Run the command line; a Refusal becomes two lines on stderr and its exit code."""
    try:
        app()
    except Refusal as refusal:
        print(f"alexrepro: {refusal.what}\n{refusal.fix}", file=sys.stderr)
        sys.exit(int(refusal.exit_code))
