"""Compiled functions where there is no compiler: one warning each, and the plain function is called."""

import os
from pathlib import Path

import pytest
import torch

from alexrepro.model.compiled import Compiled, can_compile

from ..loaded import start


def double(variable: str, path: Path) -> None:
    """Print what a compiled function returns in an environment, and whether it is compiled."""
    os.environ |= {"TORCHINDUCTOR_CACHE_DIR": str(path.parent), variable: str(path)}
    doubled = Compiled(lambda x: 2 * x)
    print([doubled(torch.ones(1)).item() for _ in range(3)], doubled.works, can_compile(torch.device("cpu")))


@pytest.mark.parametrize(
    ("variable", "path", "reason"),
    [("CXX", "missing", ""), ("TORCHINDUCTOR_CACHE_DIR", "file/below", " [Errno 20] Not a directory")],
)
def test_without_a_compiler_or_its_folder_the_plain_function_is_called(
    tmp_path: Path, variable: str, path: str, reason: str
) -> None:
    (tmp_path / "file").touch()

    process = start(double, variable, tmp_path / path, said=tmp_path / "said")
    process.join()

    said = (tmp_path / "said").read_text()
    assert "[2.0, 2.0, 2.0] False False\n" in said
    assert said.count(f"Not compiled, so slower:{reason}") == 2  # once for each of the two functions
