"""What the released 2012 files say about each network that is a recipe here, stage by stage.

The facts are read from the folder of the released code, from a table of its settings with the columns file, section,
key and value, or from the table beside this file. A parameter file holds the rates at the end of its run.
"""

import csv
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from pathlib import Path

Sections = Mapping[str, Mapping[str, str]]  # of a file: key and value by section
Facts = dict[str, dict[str, dict[str, str]]]  # network, stage, fact: value

BASE = "as-run-2012"
# The layer file and the parameter file of a network.
FILES = {
    BASE: ("145", "145"), "as-run-2010": ("145", "145-2010"), "net-145f": ("145", "145"),
    "net-137-2010": ("137", "137"), "net-141-2009-2012": ("141-2009-2012", "141-2009"),
    **{f"net-{n}": (n, n) for n in ("131", "135", "137", "141-2009-half", "145-half", "147", "148", "150")},
    **{f"net-146-{n}": (f"146-{n}", f"146-{n}") for n in ("2009", "2011", "2012-2009", "2012-2011")},
}  # fmt: skip
FULL = {"fc2048": "fc6", "fc4096": "fc6", "fc2048b": "fc7", "fc4096b": "fc7", "fc1": "fc8a", "fc1000": "fc8"}
NORMS = {"cmrnorm": "norm", "rnorm": "same_map_norm", "cnorm": "contrast_norm"}


def read_settings(path: Path) -> dict[str, Sections]:
    """The sections of each file of the released code, by file name, from its folder or from a table of settings."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                found.setdefault(Path(row["file"]).name, {}).setdefault(row["section"], {})[row["key"]] = row["value"]
        return dict(found)
    for file_path in sorted((path / "layers").glob("layer*.cfg")):
        parser = ConfigParser(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        parser.read_string(file_path.read_text(encoding="latin-1"))
        found[file_path.name] = {name: dict(parser[name]) for name in parser.sections()}
    return dict(found)


def facts_of(settings: Mapping[str, Sections]) -> Facts:
    """The facts about every network of FILES."""
    return {
        net: network_facts(settings[f"layers-{layers}.cfg"], settings[f"layer-params-{params}.cfg"])
        for net, (layers, params) in FILES.items()
    }


def network_facts(layers: Sections, params: Sections) -> dict[str, dict[str, str]]:
    """The facts about one network: its towers' layers of one name are one stage."""
    stages: dict[str, list[str]] = {}
    for name, layer in layers.items():
        if layer["type"] in ("conv", "fc"):
            stem = name[:-1] if name[-1] in "ab" else name
            stages.setdefault(FULL.get(stem, stem), []).append(name)
    towers = len(stages["conv1"])
    return {stage: _stage_facts(layers, params, names, towers) for stage, names in stages.items()}


def _stage_facts(layers: Sections, params: Sections, names: list[str], towers: int) -> dict[str, str]:
    layer, rates = layers[names[0]], params[names[0]]
    reads = [name for name in layer["inputs"].split(",") if layers[name]["type"] != "nailbed"]
    is_conv = layer["type"] == "conv"
    size = [layer[key].split(",")[-1] for key in ("filterSize", "stride", "padding")] if is_conv else []
    return {
        "maps": str(sum(int(layers[name]["filters" if is_conv else "outputs"].split(",")[0]) for name in names)),
        "kernels": "size {} stride {} pad {}".format(*size) if is_conv else "full",
        "groups": str(towers if len(reads) == 1 and reads != ["data"] else 1),
        "initW": _number(layer["initW"]),
        "initB": _number(layer.get("initB", "0")),
        "side": _side(layers, layer),
        "after": ", ".join(_operations(layers, params, names[0])) or "nothing",
        **{key: _number(rates[key]) for key in ("epsW", "epsB", "momW", "momB", "wc")},
    }


def _number(text: str) -> str:
    """A value that is the same for every input of a layer."""
    (value,) = {f"{float(part):g}" for part in text.split(",")}
    return value


def _side(layers: Sections, layer: Mapping[str, str]) -> str:
    """The blurred copy of the image that a layer reads besides its own maps."""
    nails = next((name for name in layer["inputs"].split(",") if layers[name]["type"] == "nailbed"), None)
    if nails is None:
        return "none"
    blur, small = layers[layers[nails]["inputs"]], layers[nails]
    kernel, stride = (layer[key].split(",")[0] for key in ("filterSize", "stride"))
    return (
        f"taps {blur['filterSize']} sigma {_number(blur['stdev'])} every {small['stride']} "
        f"size {kernel} stride {stride} initW {_number(layer['initW'].split(',')[0])}"
    )


def _operations(layers: Sections, params: Sections, name: str | None) -> Iterator[str]:
    """What follows a layer's kernels, in order, up to the next kernels; a neuron works on what its own layer makes."""
    while name:
        layer, mine = layers[name], params.get(name, {})
        if layer["type"] == "pool":
            yield f"pool {layer['sizeX']}/{layer['stride']}"
        elif layer["type"] == "hs":
            yield f"dropout {1 - float(layer['keep']):g}"
        elif layer["type"] in NORMS:
            k = _number(mine.get("minDiv", "1"))
            yield f"{NORMS[layer['type']]} {layer['size']} {_number(mine['scale'])} {_number(mine['pow'])} {k}"
        if "neuron" in layer:
            yield f"response {layer['neuron']}"
        readers = (other for other, its in layers.items() if name in its.get("inputs", "").split(","))
        name = next((other for other in readers if layers[other]["type"] in ("pool", "hs", *NORMS)), None)


def from_table(text: str) -> Facts:
    """The facts of a table of network, stages and facts; left out is what a stage shares with that of BASE."""
    facts: Facts = {}
    for line in text.splitlines()[1:]:
        net, names, told = line.split("\t")
        for stage in names.split():
            base = facts.get(BASE, {}).get(stage, {})
            facts.setdefault(net, {})[stage] = base | dict(
                item.split("=", 1) for item in told.split("; ") if "=" in item
            )
    return facts
