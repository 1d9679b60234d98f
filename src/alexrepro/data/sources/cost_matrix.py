"""The hierarchical costs of ILSVRC-2010: how far up WordNet a wrong class and the true one meet (its devkit)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexrepro.data.sources.devkit import META, devkit_file, wrong
from alexrepro.data.sources.matfile import read_matrix

Costs = NDArray[np.uint8]


def cost_matrix(root: Path, *, classes: int) -> Costs | None:
    """The cost of each guess for each true class, uint8 (K, K) in the order of the ids, or None if none is given.

    Raises UserError if it is of another size or gives a cost to the true class.
    """
    data = devkit_file(root, META)
    if data is None:
        return None
    try:
        costs = read_matrix(data, "cost_matrix")
    except ValueError as error:
        raise wrong(Path(META), f"cannot be read: {error}") from None
    if costs is None:
        return None
    if costs.shape != (classes, classes) or np.diagonal(costs).any():
        raise wrong(Path(META), f"has a cost matrix that is not {classes}x{classes} bytes with a zero diagonal")
    return costs
