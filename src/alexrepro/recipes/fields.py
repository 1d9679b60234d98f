"""Every field of a tree of frozen dataclasses by dotted path, and the same tree changed by tables of plain values.

`network.norm.alpha` walks fields; `network.conv2.pad_px` walks into the tuple of stages by stage name.
The same paths serve `but`, `--set`, TOML files, digests and the printed difference between two recipes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from alexrepro.errors import Exit, UserError, did_you_mean
from alexrepro.paper.network import Stage

T = TypeVar("T")

MOST_INT = 2**63  # the range of TOML's integers
RENAMED = {  # old name of a field -> its name now; the renamed options of commands are in cli/renamed.py
    "response": "activation",
    "rate": "learning_rate",
    "bias_rate": "bias_learning_rate",
    "rate_factor": "learning_rate_factor",
    "shared_by": "images_per_crop",
    "reshuffles": "shuffle_every_epoch",
    "begins_with": "init_from_stages",
    "says": "description",
    "square": "resize",
}
_hints = cache(get_type_hints)
SEE_FIELDS = "See every field and its value with: alexrepro recipes show as-run-2012 --toml."


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf below a dataclass as (dotted path, plain value), in the order of the fields.

    A part that may have several types gives its type as the leaf `<path>.kind`; stages are listed and follow by name.
    """
    dot = f"{path}." if path else ""
    for item in fields(value):
        part, here = getattr(value, item.name), f"{dot}{item.name}"
        if isinstance(part, tuple) and part and isinstance(part[0], Stage):
            yield here, [stage.name for stage in part]
            for stage in part:
                yield from flatten(stage, f"{dot}{stage.name}")
        elif is_dataclass(part):
            if len(_parts(_hints(value.__class__)[item.name])) > 1:
                yield f"{here}.kind", type(part).__name__.lower()
            yield from flatten(part, here)
        else:
            yield here, _plain(part)


def nested(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted path as tables in tables, which `changed` takes."""
    table: dict[str, Any] = {}
    for path, value in changes.items():
        *parts, name = path.split(".")
        here = table
        for part in parts:
            here = here.setdefault(part, {})
            if not isinstance(here, dict):
                what = f"{path} cannot be set together with {part}."
                raise UserError(what, fix="Set one of them.", exit_code=Exit.USAGE)
        here[name] = value
    return table


def changed(value: T, table: Mapping[str, Any], path: str = "") -> T:
    """A copy of a dataclass in which the fields of a table are replaced; a table in it changes a part likewise.

    None or "none" removes an optional part or a stage. Raises UserError for an unknown field or a value of the wrong
    type, by its path below `path`.
    """
    return cast(T, _made(type(value), table, value, path))


def _made(kind: Any, table: Mapping[str, Any], base: Any, path: str) -> Any:
    """The dataclass with the fields of a table; the others are those of the base, or else the defaults."""
    hints, known = _hints(kind), list(_hints(kind))
    if tuple[Stage, ...] in hints.values():
        known += [stage.name for stage in base.stages]
        table = _with_stages(table, base.stages, path)
    values = {}
    for name, value in table.items():
        here = f"{path}.{name}".lstrip(".")
        if name not in hints and name in RENAMED:
            new = f"{path}.{RENAMED[name]}".lstrip(".")
            raise UserError(f"{here} is now {new}.", fix=f"Write {new} in its place.", exit_code=Exit.USAGE)
        if name not in hints:
            meant = did_you_mean(name, known, otherwise=f"; it has {', '.join(known)}.")
            raise UserError(f"{kind.__name__} has no field {name!r:.80}{meant}", fix=SEE_FIELDS, exit_code=Exit.USAGE)
        values[name] = _fitted(value, hints[name], getattr(base, name, None), here)
    if base is not None:
        return replace(base, **values)
    lacking = [item.name for item in fields(kind) if item.default is MISSING and item.name not in values]
    if lacking:
        raise UserError(f"{path} = {dict(table)!r:.80} lacks {lacking[0]!r}.", fix=SEE_FIELDS, exit_code=Exit.USAGE)
    return kind(**values)


def _with_stages(table: Mapping[str, Any], stages: tuple[Stage, ...], path: str) -> dict[str, Any]:
    """A network's table with its stages as a tuple, from the list of their names and a table for each."""
    known = {stage.name: stage for stage in stages}
    found, rest = [], dict(table)
    for name in _fitted(rest.pop("stages", list(known)), tuple[str, ...], None, f"{path}.stages"):
        change = rest.pop(name, {})
        if change not in (None, "none"):
            found.append(_fitted(change, Stage, known.get(name, Stage(name)), f"{path}.{name}"))
    return rest | {"stages": tuple(found)}


def _fitted(value: Any, declared: Any, current: Any, path: str) -> Any:
    """The value as what a field is declared to hold; a table changes the part that the field holds now."""
    if isinstance(value, Mapping) and (parts := _parts(declared)):
        value, kind = dict(value), parts[0]
        if len(parts) > 1:
            named = {part.__name__.lower(): part for part in parts}
            kind = named[
                _fitted(value.pop("kind", type(current).__name__.lower()), Literal[*named], None, f"{path}.kind")
            ]
        return _made(kind, value, current if isinstance(current, kind) else None, path)
    for option in _options(declared):
        if option is NoneType and value in (None, "none"):
            return None
        if get_origin(option) is tuple and isinstance(value, list | tuple):
            return tuple(_fitted(one, get_args(option)[0], None, path) for one in value)
        if option is float and type(value) is int and abs(value) < MOST_INT:
            return float(value)
        if type(value) is option or (get_origin(option) is Literal and value in get_args(option)):
            return value
    wanted = " or ".join(map(_spoken, _options(declared)))
    raise UserError(f"{path} = {value!r:.80} does not fit: it must be {wanted}.", fix=SEE_FIELDS, exit_code=Exit.USAGE)


def _options(declared: Any) -> tuple[Any, ...]:
    return get_args(declared) if get_origin(declared) in (Union, UnionType) else (declared,)


def _parts(declared: Any) -> list[Any]:
    return [option for option in _options(declared) if is_dataclass(option)]


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if getattr(value, f.name) != f.default}
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _spoken(option: Any) -> str:
    if get_origin(option) is Literal:
        return " or ".join(repr(v) for v in get_args(option))
    if get_origin(option) is tuple:
        return f"a list [{_spoken(get_args(option)[0])}, ...]"
    return "none" if option is NoneType else str(option.__name__)
