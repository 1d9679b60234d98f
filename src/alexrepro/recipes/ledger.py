"""The fidelity ledger: every statement, cited field, and printed or logged number as rows of JSON values."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from operator import attrgetter
from typing import Any, get_args, get_type_hints

from alexrepro.errors import Exit, UserError
from alexrepro.paper.citation import Citation, citations, statements
from alexrepro.paper.network import Stage
from alexrepro.paper.results import ALL_DELTAS, ALL_REPORTED, LOGGED, SUBMISSIONS
from alexrepro.paper.training import Script
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012
from alexrepro.recipes.recipe import Recipe

Row = dict[str, Any]

STAGE = "<stage>"  # stands for the name of any stage; the value is then one value per stage


def ledger() -> dict[str, list[Row]]:
    """The rows of `statements`, `fields`, `reported`, `deltas`, `logged` and `submitted`, in the order of the code.

    A field's value is None where the recipe lacks the part, and a mapping from stage to value for `network.<stage>`.
    Errors and differences of errors are fractions.
    """
    return {
        "statements": [
            vars(statement) | {"fields": [{"path": path, **values(path)} for path in statement.fields]}
            for statement in statements()
        ],
        "fields": [{"path": path, **values(path), **vars(citation)} for path, citation in _cited(Recipe)],
        "reported": _rows(ALL_REPORTED, "section", "name label split crops top1_error top5_error"),
        "deltas": _rows(ALL_DELTAS, "section", "name split top1_delta top5_delta"),
        "logged": _rows(LOGGED, "source", "config split crops epochs loss top1_error top5_error"),
        "submitted": _rows(SUBMISSIONS, "source", "name split top5_error members"),
    }


def search(query: Sequence[str]) -> tuple[dict[str, list[Row]], bool]:
    """The statements with some ids, and True; or of each kind the rows that mention all of some words, and False.

    Raises UserError if an id or the words are not found.
    """
    rows, words = ledger(), [word.casefold() for word in query]
    by_id = {row["id"].casefold(): row for row in rows["statements"]}
    are_ids = bool(words) and all(map(re.compile(r"[ps]\d+").fullmatch, words))
    if are_ids:
        found = {"statements": [by_id[word] for word in words if word in by_id]}
    else:
        found = {name: [row for row in some if _mentions(row, words)] for name, some in rows.items()}
    missing = [word for word in words if are_ids and word not in by_id]
    if missing or not any(found.values()):
        what = (
            f"No statement is called {' or '.join(missing).upper()}."
            if missing
            else f"Nothing mentions {' '.join(query)}."
        )
        raise UserError(what, fix="Print everything with: alexrepro facts.", exit_code=Exit.USAGE)
    return found, are_ids


def _mentions(row: Row, words: Iterable[str]) -> bool:
    text = str([*row.values()]).casefold()
    return all(word in text for word in words)


def shown(value: Any) -> str:
    """A field's value as text: `none`, `true`, `0.01; 0.03 in conv3, conv4`, or the lines of a schedule."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return _by_value(value)
    if isinstance(value, list):
        lines = [
            ", ".join(f"{name} {shown(one)}" for name, one in item.items()) if isinstance(item, Mapping) else str(item)
            for item in value
        ]
        return ("; " if any(isinstance(item, Mapping) for item in value) else ", ").join(lines) or "nothing"
    return str(value)


def values(path: str) -> dict[str, Any]:
    """What both recipes hold at a dotted path; None where a recipe lacks it."""
    return {"printed": _value(AS_PRINTED, path), "as_run": _value(AS_RUN_2012, path)}


def _rows(records: Iterable[Any], source: str, names: str) -> list[Row]:
    """The named attributes of each record, and what it cites."""
    return [
        {name: getattr(record, name) for name in names.split()}
        | {source: record.cites.source, "description": record.cites.description}
        for record in records
    ]


def _cited(kind: Any, path: str = "") -> Iterator[tuple[str, Citation]]:
    """The path and the citation of each field of a dataclass and of the dataclasses that its types name."""
    if not (isinstance(kind, type) and is_dataclass(kind)):  # such as `Norm | None` and `tuple[Stage, ...]`
        for argument in get_args(kind):
            yield from _cited(argument, f"{path.rpartition('.')[0]}.{STAGE}" if argument is Stage else path)
        return
    known, hints = citations(kind), get_type_hints(kind)
    for item in fields(kind):
        here = f"{path}.{item.name}".lstrip(".")
        if item.name in known:
            yield here, known[item.name]
        yield from _cited(hints[item.name], here)


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
