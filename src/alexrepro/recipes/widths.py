"""Networks of other widths: all maps times a factor, or as many as give the parameters and multiply-adds of a base."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import product
from typing import Any

from alexrepro.paper.network import Network

NEAR = 0.01  # parameters and multiply-adds that differ by less are those of the base
MOST_TIMES = 4  # a width may become this many times that of the base
Widths = dict[str, int]  # maps by stage
Deviation = tuple[float, float]  # of parameters and of multiply-adds from those of the base, relative


def scaled(network: Network, factor: float) -> dict[str, Any]:
    """The fields of a network with all maps but the classes times a factor.

    A stage that reads more maps begins with weights that are smaller by the root of the factor: the signal keeps its
    strength.
    """
    fields: dict[str, Any] = {}
    for number, stage in enumerate(network.stages):
        if stage is not network.stages[-1]:
            fields[f"network.{stage.name}.maps"] = _whole(network, stage.maps * factor)
        if number:
            fields[f"network.{stage.name}.weight_std"] = float(f"{stage.weight_std / factor**0.5:.4g}")
    return fields


def matched(network: Network, base: Network, groups: Sequence[Sequence[str]]) -> Widths:
    """Maps of one or two groups of stages, each of one width, at which a network costs as much as the base.

    Parameters and multiply-adds are as near to the base's as can be; if one of them stays further away than NEAR, the
    parameters are held.
    """
    known = {stage.name: stage.maps for stage in network.stages}
    ranges = [(network.towers, _whole(network, MOST_TIMES * known[group[0]])) for group in groups]

    @cache
    def cost(*maps: int) -> Deviation:
        return deviation(_with(network, _widths(groups, maps)), base)

    def best(maps: int, *, goal: Callable[[Deviation], float], outer: tuple[int, ...] = ()) -> int:
        low, high = ranges[maps]
        return _root(lambda width: goal(cost(*outer, width)), low, high, step=network.towers)

    found: tuple[int, ...]
    if len(groups) == 1:
        found = (best(0, goal=sum),)
    else:
        inner = partial(best, 1, goal=sum)

        def balance(width: int) -> float:
            parameters, macs = cost(width, inner(outer=(width,)))
            return parameters - macs

        low, high = ranges[0]
        first = _root(balance, low, high, step=network.towers)
        found = (first, inner(outer=(first,)))
    nearest = min(_around(found, network.towers), key=lambda maps: max(map(abs, cost(*maps))))
    if len(groups) == 1 and max(map(abs, cost(*nearest))) > NEAR:
        nearest = (best(0, goal=lambda both: both[0]),)
    return _widths(groups, nearest)


def deviation(network: Network, base: Network) -> Deviation:
    """How far the parameters and the multiply-adds of a network are from those of another, as fractions of these."""
    layers, of_base = network.layers(), base.layers()
    parameters, macs = (
        sum(getattr(layer, what) for layer in layers) / sum(getattr(layer, what) for layer in of_base) - 1
        for what in ("parameters", "macs")
    )
    return parameters, macs


def comparison(network: Network, base: Network) -> str:
    """Both in words, and which is held where the other is not within NEAR."""
    parameters, macs = deviation(network, base)
    how = ""
    if max(abs(parameters), abs(macs)) > NEAR:
        how = "; parameters are held, as both cannot be" if abs(parameters) <= NEAR else "; as near as whole maps come"
    return f"{network.parameters:,} parameters ({parameters:+.2%}), {network.macs:,} multiply-adds ({macs:+.2%}){how}"


def _root(function: Callable[[int], float], low: int, high: int, *, step: int) -> int:
    """The multiple of a step at which a monotone function changes its sign; the end nearest to that if it does not."""
    low, high = low // step, high // step
    is_rising = function(high * step) > function(low * step)
    while low < high:
        middle = (low + high) // 2
        if (function(middle * step) < 0) == is_rising:
            low = middle + 1
        else:
            high = middle
    return low * step


def _around(found: tuple[int, ...], step: int) -> Iterator[tuple[int, ...]]:
    """The widths, and those up to two steps away."""
    return product(*(range(max(step, maps - 2 * step), maps + 2 * step + 1, step) for maps in found))


def _widths(groups: Sequence[Sequence[str]], maps: Sequence[int]) -> Widths:
    return {name: width for group, width in zip(groups, maps, strict=True) for name in group}


def _with(network: Network, widths: Mapping[str, int]) -> Network:
    stages = tuple(replace(stage, maps=widths.get(stage.name, stage.maps)) for stage in network.stages)
    return replace(network, stages=stages)


def _whole(network: Network, maps: float) -> int:
    """The nearest number of maps that divides between the towers, at least one in each."""
    return network.towers * max(1, round(maps / network.towers))
