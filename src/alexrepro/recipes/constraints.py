"""What must hold of a recipe: the range of each number, declared in `paper/` with its default, and ties of fields."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from alexrepro.errors import UserError
from alexrepro.files import MOST_NAME_BYTES
from alexrepro.paper.citation import Range, range_of
from alexrepro.paper.network import Network
from alexrepro.paper.training import STORED_PX, Script, Training

if TYPE_CHECKING:
    from alexrepro.recipes.recipe import Recipe

Check = tuple[str, bool, str]  # field, whether it holds, what it must

NAME = re.compile(r"\w([^/\\]*[^/\\ ])?")
STAGE_NAME = re.compile(r"(conv|local|fc)\w{0,20}", re.ASCII)
AFTER_FULL = {"activation", "dropout"}  # what may follow a full connection, which has no maps
MOST_PARAMETERS = 10**10


def check(recipe: "Recipe") -> None:
    """Raise UserError for the first field that cannot be computed with."""
    network = recipe.network
    ranges = ((field, limits.holds(value), f"{limits}, not {value}") for field, value, limits in numbers(recipe))
    ties = (_of_images(recipe), _of_stages(network), _of_training(recipe.training, network), _of_sizes(network))
    for field, holds, must in chain(ranges, *ties):
        if not holds:
            what = field if "." in field else f"The recipe's {field}"
            raise UserError(f"{what} must {must}.", fix=f"Change it with --set {field}=VALUE, or in a recipe file.")


def numbers(part: Any, path: str = "") -> Iterator[tuple[str, float, Range]]:
    """The path, the value and the range of each number in a dataclass, its parts, and its tuples of either."""
    for item in fields(part):
        value, here = getattr(part, item.name), f"{path}.{item.name}".lstrip(".")
        for one in value if isinstance(value, tuple) else (value,):
            if is_dataclass(one):
                name = getattr(one, "name", None)  # a stage's path has its name in place of `stages`
                yield from numbers(one, f"{path}.{name}" if name else here)
            elif isinstance(one, int | float) and not isinstance(one, bool):
                yield here, one, range_of(item.metadata, one)


def _of_images(recipe: "Recipe") -> Iterator[Check]:
    """Names, and what an image has on its way into the network."""
    name, network, stored = recipe.name, recipe.network, recipe.augmentation.stored_px
    is_word = name.isprintable() and NAME.fullmatch(name) is not None and len(name.encode()) <= MOST_NAME_BYTES
    yield "name", is_word, f"be one that a folder can have, of at most {MOST_NAME_BYTES} bytes, not {name!r:.80}"
    yield "description", recipe.description.isprintable(), "be one line of text"
    yield "network.channels", network.channels == 3, "be 3, as images are RGB"
    fits = network.input_std is None or len(network.input_std) == network.channels
    yield "network.input_std", fits, f"have a number above 0 for each of {network.channels} channels"
    yield "augmentation.stored_px", stored % 32 == 0 and stored <= STORED_PX, f"be a multiple of 32 up to {STORED_PX}"
    yield "network.input_px", network.input_px <= stored, f"be at most {stored}, the side of the stored images"
    margin_px, last = stored - network.input_px, recipe.augmentation.last_offset_px
    yield "augmentation.last_offset_px", last <= margin_px, f"be from 0 to {margin_px}, the margin around a crop"


def _of_stages(network: Network) -> Iterator[Check]:
    names = [stage.name for stage in network.stages]
    strange = next((name for name in names if not STAGE_NAME.fullmatch(name)), None)
    yield "network.stages", strange is None, f"be named conv, local or fc with a number, such as conv6, not {strange!r}"
    yield "network.stages", bool(names) and len(set(names)) == len(names), "have different names"
    are_full = [stage.kind == "full" for stage in network.stages]
    yield "network.stages", are_full == sorted(are_full), "have full connections after all others"
    yield "network.stages", are_full[-1], "end with a full connection, whose outputs are the classes"
    stride_px, size_px = network.pool.stride_px, network.pool.size_px
    yield "network.pool.stride_px", stride_px <= size_px, f"be at most {size_px}, the side of a window"
    for stage in network.stages:
        path, is_full, order = f"network.{stage.name}", stage.kind == "full", set(stage.order)
        yield f"{path}.order", len(order) == len(stage.order), "name each operation once"
        yield f"{path}.order", not {"pool", "average_pool"} <= order, "pool once"
        yield f"{path}.order", not is_full or order <= AFTER_FULL, f"hold only {' and '.join(sorted(AFTER_FULL))}"
        yield f"{path}.kernel_px", is_full or stage.kernel_px >= 1, "be 1 or more"
        yield (
            f"{path}.pad_px",
            is_full or stage.pad_px < stage.kernel_px,
            f"be below {stage.kernel_px}, the side of a kernel",
        )
    if network.side_input:
        convs = [stage.name for stage in network.stages if stage.kind == "conv"]
        yield "network.side_input.stage", *_among(convs, [network.side_input.stage])
        side_px = network.side_input.side_px(network.input_px)
        yield "network.side_input.first_px", side_px >= 1, f"be below network.input_px, {network.input_px}"


def _of_training(training: Training, network: Network) -> Iterator[Check]:
    names, schedule = [stage.name for stage in network.stages], training.schedule
    yield "training.init_from_stages", *_among(names, training.init_from_stages)
    lines = schedule.at if isinstance(schedule, Script) else ()
    epochs = [line.epoch for line in lines]
    yield "training.schedule.at", epochs == sorted(epochs), "be in the order of the epochs"
    yield "training.schedule.at", *_among(names, [name for line in lines for name in line.stages])


def _of_sizes(network: Network) -> Iterator[Check]:
    towers = network.towers
    for stage, size in network.inputs():
        yield "network.towers", towers == 1 or stage.kind != "local", f"be 1, as {stage.name} is locally connected"
        is_grouped = network.norm is not None and network.norm.per_tower and "norm" in stage.order
        is_split, reads_own = stage.maps % towers > 0, stage.reads == "own"
        is_misfit = (reads_own and (is_split or size[0] % towers > 0)) or (is_grouped and is_split)
        must = f"divide between {towers} towers, each of which has its own maps, as must the {size[0]} maps it reads"
        yield f"network.{stage.name}.maps", not is_misfit, must
    sizes = {stage.name: size for stage, size in network.inputs()} | {x.name: x.output for x in network.layers()}
    for name, size in sizes.items():
        yield "network.input_px", min(size) >= 1, f"be larger: {name} would have the size {size}"
    most = f"have at most {MOST_PARAMETERS:,} parameters, not {network.parameters:,}"
    yield "network.stages", network.parameters <= MOST_PARAMETERS, most


def _among(stages: list[str], found: Iterable[str]) -> tuple[bool, str]:
    """Whether all names are those of these stages, and what they must be."""
    strange = next((name for name in found if name not in stages), None)
    return strange is None, f"name stages of the network ({', '.join(stages)}), not {strange!r}"
