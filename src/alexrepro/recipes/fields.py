"""Dotted field paths: reading, changing and listing every field of a tree of frozen dataclasses.

`network.norm.alpha` walks fields; `network.conv2.pad_px` walks into the tuple of stages by stage name.
The same paths serve `but`, `--set`, TOML files, digests and the printed difference between two recipes.
"""

from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from alexrepro.errors import Exit, UserError, did_you_mean

MOST_INT = 2**63  # the range of TOML's integers
MOST_SHOWN = 80  # characters of a value in a message
RENAMED = {  # old name of a field -> its name now
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
SEE_FIELDS = "See every field and its value with: alexrepro recipes show as-run-2012 --toml."


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf below a dataclass as (dotted path, plain value), in the order of the fields.

    An optional part that is absent is one leaf with the value None; a part that may have several types gives
    its type as the leaf `<path>.kind`; named parts (stages) are listed in `<path>` and follow by name.
    """
    dot = f"{path}." if path else ""
    for item in fields(value):
        part, here = getattr(value, item.name), f"{dot}{item.name}"
        if is_named_tuple_of_parts(part):
            yield here, [p.name for p in part]
            for p in part:
                yield from flatten(p, f"{dot}{p.name}")
        elif is_dataclass(part):
            if len(_dataclasses(_type_of(value, item.name))) > 1:
                yield f"{here}.kind", type(part).__name__.lower()
            yield from flatten(part, here)
        elif isinstance(part, tuple):
            yield here, [_plain(p) for p in part]
        else:
            yield here, part


def changed(value: Any, path: str, new: Any, *, below: str) -> Any:
    """A copy of the dataclass in which the field at the path is replaced; the type is checked.

    `below` is the path of the dataclass itself, for messages. Setting a stage to None removes it. Raises UserError for
    an unknown field or a value of the wrong type.
    """
    name, _, rest = path.partition(".")
    stages = getattr(value, "stages", ())
    if not path:
        raise UserError(
            f"{below} is a part, not a field.", fix=f"Set one field of it, such as {below}.{fields(value)[0].name}.",
            exit_code=Exit.USAGE,
        )  # fmt: skip
    if is_named_tuple_of_parts(stages) and name in {s.name for s in stages}:
        return replace(value, stages=_changed_stages(stages, name, rest, new, below=below))
    if name not in {f.name for f in fields(value)}:
        raise _unknown(type(value), name, stages, below=below)
    part, declared = getattr(value, name), _type_of(value, name)
    if not rest:
        return replace(value, **{name: _checked(new, declared, f"{below}.{name}")})
    if rest == "kind":
        return replace(value, **{name: _kind_of(new, declared)()})
    if part is None and len(_dataclasses(declared)) == 1:
        part = _dataclasses(declared)[0]()  # `network.same_map_norm.alpha=…` switches the norm on
    if not is_dataclass(part):
        raise _unknown(type(value), path, stages, below=below)
    return replace(value, **{name: changed(part, rest, new, below=f"{below}.{name}")})


def is_named_tuple_of_parts(value: Any) -> bool:
    """Whether this is a tuple of dataclasses that have names, as the stages of a network are."""
    return isinstance(value, tuple) and bool(value) and all(is_dataclass(v) and hasattr(v, "name") for v in value)


def _changed_stages(stages: tuple[Any, ...], name: str, rest: str, new: Any, *, below: str) -> tuple[Any, ...]:
    if not rest and new is None:
        return tuple(s for s in stages if s.name != name)
    if not rest:
        raise UserError(
            f"{name} is a stage, not a field.",
            fix=f"Set one field, such as {below}.{name}.maps, or {below}.{name}=none.",
            exit_code=Exit.USAGE,
        )  # fmt: skip
    return tuple(changed(s, rest, new, below=f"{below}.{name}") if s.name == name else s for s in stages)


def _type_of(value: Any, name: str) -> Any:
    kind: Any = type(value)
    return _hints(kind)[name]


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _options(declared: Any) -> tuple[Any, ...]:
    return get_args(declared) if get_origin(declared) in (Union, UnionType) else (declared,)


def _dataclasses(declared: Any) -> list[Any]:
    return [o for o in _options(declared) if is_dataclass(o)]


def _kind_of(kind: Any, declared: Any) -> Any:
    named = {o.__name__.lower(): o for o in _dataclasses(declared)}
    if not isinstance(kind, str) or kind not in named:
        what = f"{shortened(kind)} is not one of {', '.join(sorted(named))}."
        raise UserError(what, fix="Use one of those names.", exit_code=Exit.USAGE)
    return named[kind]


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if getattr(value, f.name) != f.default}
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _checked(new: Any, declared: Any, path: str) -> Any:
    for option in _options(declared):
        fitting = _fitting(new, option, path)
        if fitting is not _MISFIT:
            return fitting
    wanted = " or ".join(_spoken(o) for o in _options(declared))
    raise UserError(
        f"{path} = {shortened(new)} does not fit: it must be {wanted}.",
        fix=SEE_FIELDS,
        exit_code=Exit.USAGE,
    )


_MISFIT = object()


def _fitting(new: Any, option: Any, path: str) -> Any:
    """The value as this type, or _MISFIT."""
    origin = get_origin(option)
    if option in (None, NoneType):
        return None if new is None else _MISFIT
    if origin is Literal:
        return new if new in get_args(option) else _MISFIT
    if origin is tuple:
        if not isinstance(new, list | tuple):
            return _MISFIT
        inner = get_args(option)[0]
        return tuple(_checked(v, inner, path) for v in new)
    if is_dataclass(option) and isinstance(option, type):
        return _part(new, option, path) if isinstance(new, dict) else new if isinstance(new, option) else _MISFIT
    if type(new) is int and abs(new) >= MOST_INT:
        return _MISFIT
    if option is float and type(new) is int:
        return float(new)
    return new if type(new) is option else _MISFIT


def _part(new: dict[str, Any], option: Any, path: str) -> Any:
    """A dataclass with these fields, such as one line of a schedule."""
    hints = _hints(option)
    for name in new:
        if name not in hints:
            raise _unknown(option, name, (), below=path)
    for item in fields(option):
        if item.name not in new and item.default is MISSING and item.default_factory is MISSING:
            raise UserError(f"{path} = {shortened(new)} lacks {item.name!r}.", fix=SEE_FIELDS, exit_code=Exit.USAGE)
    return option(**{name: _checked(value, hints[name], f"{path}.{name}") for name, value in new.items()})


def shortened(value: Any) -> str:
    """A value as Python writes it, cut off where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of more digits than Python writes, or lists in lists
        return "a value too long to print"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _spoken(option: Any) -> str:
    if option is NoneType:
        return "none"
    if get_origin(option) is Literal:
        return " or ".join(repr(v) for v in get_args(option))
    if get_origin(option) is tuple:
        return f"a list [{_spoken(get_args(option)[0])}, ...]"
    return getattr(option, "__name__", str(option))


def _unknown(kind: type[Any], name: str, stages: tuple[Any, ...], *, below: str) -> UserError:
    if name in RENAMED:
        return renamed(name, below=f"{below}.")
    known = [f.name for f in fields(kind)] + [s.name for s in stages if hasattr(s, "name")]
    meant = did_you_mean(name, known, otherwise=f"; it has {', '.join(known)}.")
    return UserError(f"{kind.__name__} has no field {shortened(name)}{meant}", fix=SEE_FIELDS, exit_code=Exit.USAGE)


def renamed(name: str, *, below: str = "") -> UserError:
    """The error for a field under its earlier name."""
    new = f"{below}{RENAMED[name]}"
    return UserError(f"{below}{name} is now {new}.", fix=f"Write {new} in its place.", exit_code=Exit.USAGE)
