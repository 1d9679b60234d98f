"""Compiled functions where there is no compiler: one warning each, and the plain function is called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import torch
from alexrepro.model.compiled import Compiled, can_compile
double = Compiled(lambda x: 2 * x)
print([double(torch.ones(1)).item() for _ in range(3)], double.works, can_compile(torch.device("cpu")))
"""


@pytest.mark.parametrize(
    ("variable", "path", "reason"),
    [("CXX", "missing", ""), ("TORCHINDUCTOR_CACHE_DIR", "file/below", " [Errno 20] Not a directory")],
)
def test_without_a_compiler_or_its_folder_the_plain_function_is_called(
    tmp_path: Path, variable: str, path: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    without = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path), variable: str(tmp_path / path)}

    done = subprocess.run([sys.executable, "-c", PROGRAM], env=without, capture_output=True, text=True, check=True)

    assert done.stdout == "[2.0, 2.0, 2.0] False False\n"
    assert done.stderr.count(f"Not compiled, so slower:{reason}") == 2  # once for each of the two functions
