"""The fidelity ledger: every statement, cited field, and printed or logged number as rows of JSON values."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from operator import attrgetter
from typing import Any, get_args, get_type_hints

from alexrepro.paper.citation import Citation, Statement, citations, statements
from alexrepro.paper.network import Stage
from alexrepro.paper.results import ALL_DELTAS, ALL_REPORTED, LOGGED, SUBMISSIONS
from alexrepro.paper.training import Script
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012
from alexrepro.recipes.recipe import Recipe

Row = dict[str, Any]

STAGE = "<stage>"  # stands for the name of any stage; the value is then one value per stage
ERRORS = ("top1_error", "top5_error")


def ledger() -> dict[str, list[Row]]:
    """The rows of `statements`, `fields`, `reported`, `deltas`, `logged` and `submitted`, in the order of the code.

    A field's value is None where the recipe lacks the part, and a mapping from stage to value for `network.<stage>`.
    Errors and differences of errors are fractions.
    """
    return {
        "statements": [_statement(statement) for statement in statements()],
        "fields": [_field(path, citation) for path, citation in _cited(Recipe)],
        "reported": _rows(ALL_REPORTED, "section", ("name", "label", "split", "crops", *ERRORS)),
        "deltas": _rows(ALL_DELTAS, "section", ("name", "split", "top1_delta", "top5_delta")),
        "logged": _rows(LOGGED, "source", ("config", "split", "crops", "epochs", "loss", *ERRORS)),
        "submitted": _rows(SUBMISSIONS, "source", ("name", "split", "top5_error", "members")),
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
    """What both recipes hold at a dotted path; None where a recipe lacks it."""
    return {"printed": _value(AS_PRINTED, path), "as_run": _value(AS_RUN_2012, path)}


def _rows(records: Iterable[Any], source: str, names: tuple[str, ...]) -> list[Row]:
    """The named attributes of each record, and what it cites."""
    cited = {source: "cites.source", "description": "cites.description"}
    columns = {name: name for name in names} | cited
    return [{column: attrgetter(path)(record) for column, path in columns.items()} for record in records]


def _statement(statement: Statement) -> Row:
    both = [{"path": path, **values(path)} for path in statement.fields]
    return vars(statement) | {"fields": both, "pins": list(statement.pins)}


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
    return {"path": path, **values(path), "source": citation.source, "description": citation.description}


def _value(recipe: Recipe, path: str) -> Any:
    _, of_stages, name = path.partition(f".{STAGE}.")
    if of_stages:
        return {stage.name: getattr(stage, name) for stage in recipe.network.stages}
    fields = recipe.fields()
    if path in fields:
        return fields[path]
    part = attrgetter(path)(recipe) if any(field.startswith(f"{path}.") for field in fields) else None
    return fields[f"{path}.at"] if isinstance(part, Script) else part and type(part).__name__


def _by_value(by_stage: Mapping[str, Any]) -> str:
    """The most frequent value, then the others with the stages that have them."""
    (usual, _), *others = Counter(by_stage.values()).most_common()
    groups = [f"{shown(value)} in {', '.join(s for s, v in by_stage.items() if v == value)}" for value, _ in others]
    return "; ".join([shown(usual), *groups])


def _line(line: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in line.items())
