"""A network in one line, as textbooks write it, and the arithmetic of a pass."""

from itertools import groupby

from alexrepro.paper.network import Network, Stage

SHORT = {
    "norm": "RN", "same_map_norm": "SN", "contrast_norm": "CN", "pool": "MP", "average_pool": "AP", "dropout": "DO",
}  # fmt: skip
LEARNED_NORMS = {"response": "RN", "batch": "BN", "layer": "LN"}
KINDS = {"conv": "CNN", "local": "local", "full": "FC"}
MEANINGS = {
    "CNN": "convolution", "FC": "full layer", "RN": "response normalization", "BN": "batch normalization",
    "LN": "layer normalization", "SN": "norm within a map", "CN": "contrast normalization", "MP": "max pooling",
    "AP": "average pooling", "DO": "dropout",
}  # fmt: skip
EXPONENTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
ARROW = " → "
ENDS = {"MP", "AP", "DO"}


def formula(network: Network) -> str:
    """The layers in order, with repetitions as powers: `(CNN → RN → MP)² → (CNN³ → MP) → … → softmax`.

    A part in parentheses ends where a stage is pooled or dropped.
    """
    parts: list[list[str]] = [[]]
    for stage in network.stages:
        words = _words(network, stage)
        if words == ["Linear"]:
            parts.append([])
        parts[-1] += words
        if ENDS & {*words}:
            parts.append([])
    texts = [_powers(part) for part in parts if part]
    return ARROW.join([_powers([f"({t})" if ARROW in t else t for t in texts]), "softmax"])


def legend(*networks: Network) -> str:
    """What the abbreviations of their formulas mean."""
    used = {word for network in networks for stage in network.stages for word in _words(network, stage)}
    return ", ".join(f"{word} {meaning}" for word, meaning in MEANINGS.items() if word in used)


def training_macs(network: Network) -> int:
    """Multiply-adds of a forward and a backward pass of one crop: the image needs no gradient."""
    return 3 * network.macs - network.layers()[0].macs


def arithmetic(network: Network) -> str:
    """Multiply-adds of a crop, and the floating-point operations that are quoted: two for each."""
    forward, both = (2 * macs / 1e9 for macs in (network.macs, training_macs(network)))
    return (
        f"{network.macs:,} multiply-adds per crop: {forward:.3g} GFLOPs if each counts as two; "
        f"{both:.3g} GFLOPs forward and backward."
    )


def _words(network: Network, stage: Stage) -> list[str]:
    if stage is network.stages[-1]:
        return ["Linear"]
    norm = {"norm": LEARNED_NORMS[network.norm.kind]} if network.norm else {}
    after = [(SHORT | norm)[name] for name in network.operations(stage) if name != "activation"]
    return [KINDS[stage.kind], *after]


def _powers(words: list[str]) -> str:
    """The words with arrows between them, and those that follow themselves as powers."""
    found = []
    for word, same in groupby(words):
        count = len(list(same))
        found.append(word + (str(count).translate(EXPONENTS) if count > 1 else ""))
    return ARROW.join(found)
