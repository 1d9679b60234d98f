"""The fidelity ledger: every statement, cited field, and printed or noted number, read from the code as plain rows.

A row holds JSON values only, so that `alexrepro facts` and the generated pages show the same thing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

from alexrepro.paper.citation import Citation, citations
from alexrepro.paper.logbook import LOGGED, SUBMISSIONS, Logged, Submission
from alexrepro.paper.network import Stage
from alexrepro.paper.results import ALL_DELTAS, ALL_REPORTED, Reported, ReportedDelta
from alexrepro.paper.statement import Statement, statements
from alexrepro.paper.training import Script
from alexrepro.recipes.as_printed_and_run import AS_PRINTED, AS_RUN_2012
from alexrepro.recipes.recipe import Recipe

Row = dict[str, Any]

STAGE = "<stage>"  # stands for the name of any stage; the value is then one value a stage


def ledger() -> dict[str, list[Row]]:
    """The rows of `statements`, `fields`, `reported`, `deltas`, `logged` and `submitted`, in the order of the code.

    A field's value is None where the recipe lacks the part, and a mapping from stage to value for `network.<stage>`.
    Errors and differences of errors are fractions.
    """
    return {
        "statements": [_statement(statement) for statement in statements()],
        "fields": [_field(path, citation) for path, citation in _cited(Recipe)],
        "reported": [_reported(result) for result in ALL_REPORTED],
        "deltas": [_delta(result) for result in ALL_DELTAS],
        "logged": [_logged(entry) for entry in LOGGED],
        "submitted": [_submitted(entry) for entry in SUBMISSIONS],
    }


def shown(value: Any) -> str:
    """A field's value as text: `none`, `true`, `0.01; 0.03 in conv3, conv4`, or the lines of a schedule."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return _by_value(value)
    if isinstance(value, list):
        lines = [_line(item) if isinstance(item, Mapping) else str(item) for item in value]
        return ("; " if any(isinstance(item, Mapping) for item in value) else ", ").join(lines) or "nothing"
    return str(value)


def values(path: str) -> dict[str, Any]:
    """What both recipes hold at a dotted path; raises KeyError for a path that neither has."""
    if STAGE in path:
        return {"printed": _value(AS_PRINTED, path), "as_run": _value(AS_RUN_2012, path)}
    printed, as_run = AS_PRINTED.fields(), AS_RUN_2012.fields()
    if path not in printed | as_run:
        raise KeyError(path)
    return {"printed": printed.get(path), "as_run": as_run.get(path)}


def _statement(statement: Statement) -> Row:
    return {
        "id": statement.id,
        "source": statement.source,
        "description": statement.description,
        "in_2012": statement.in_2012,
        "status": statement.status,
        "note": statement.note,
        "fields": [{"path": path, **values(path)} for path in statement.fields],
        "pins": list(statement.pins),
    }


def _cited(cls: type[Any], path: str = "") -> Iterator[tuple[str, Citation]]:
    known, hints = citations(cls), get_type_hints(cls)
    for item in fields(cls):
        here = f"{path}.{item.name}".lstrip(".")
        if item.name in known:
            yield here, known[item.name]
        for part in _dataclasses(hints[item.name]):
            yield from _cited(part, f"{path}.{STAGE}" if part is Stage else here)


def _dataclasses(declared: Any) -> list[type[Any]]:
    """The dataclasses that a type names: Norm for `Norm | None`, Stage for `tuple[Stage, ...]`."""
    if isinstance(declared, type) and is_dataclass(declared):
        return [declared]
    return [found for argument in get_args(declared) for found in _dataclasses(argument)]


def _field(path: str, citation: Citation) -> Row:
    values = {"printed": _value(AS_PRINTED, path), "as_run": _value(AS_RUN_2012, path)}
    return {"path": path, **values, "source": citation.source, "description": citation.description}


def _value(recipe: Recipe, path: str) -> Any:
    _, of_stages, name = path.partition(f".{STAGE}.")
    if of_stages:
        return {stage.name: getattr(stage, name) for stage in recipe.network.stages}
    value: Any = recipe
    for part in path.split("."):
        value = getattr(value, part, None)
    if isinstance(value, Script):
        return recipe.fields()[f"{path}.at"]
    return type(value).__name__ if is_dataclass(value) else value


def _reported(result: Reported) -> Row:
    return {
        "name": result.name,
        "label": result.label,
        "section": result.cites.source,
        "split": result.split,
        "crops": result.crops,
        "top1_error": result.top1_error,
        "top5_error": result.top5_error,
        "description": result.cites.description,
    }


def _delta(result: ReportedDelta) -> Row:
    return {
        "name": result.name,
        "section": result.cites.source,
        "split": result.split,
        "crops": None,  # the running text does not say how many crops its differences were measured with
        "top1_delta": result.top1_delta,
        "top5_delta": result.top5_delta,
        "description": result.cites.description,
    }


def _logged(entry: Logged) -> Row:
    return {
        "config": entry.config,
        "source": entry.cites.source,
        "description": entry.cites.description,
        "split": entry.split,
        "crops": entry.crops,
        "epochs": entry.epochs,
        "loss": entry.loss,
        "top1_error": entry.top1_error,
        "top5_error": entry.top5_error,
    }


def _submitted(entry: Submission) -> Row:
    return {
        "name": entry.name,
        "source": entry.cites.source,
        "split": entry.split,
        "top5_error": entry.top5_error,
        "members": list(entry.members),
    }


def _by_value(values: Mapping[str, Any]) -> str:
    """The most frequent value, then the others with the stages that have them."""
    (usual, _), *others = Counter(values.values()).most_common()
    groups = [f"{shown(value)} in {', '.join(s for s, v in values.items() if v == value)}" for value, _ in others]
    return "; ".join([shown(usual), *groups])


def _line(line: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in line.items())
