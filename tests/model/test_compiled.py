"""Compiled functions where there is no compiler: said once, and the plain function does the work."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import torch
from alexrepro.model.compiled import Compiled, can_compile
double = Compiled(lambda x: 2 * x)
print([double(torch.ones(1)).item() for _ in range(3)], double.works, can_compile(torch.device("cpu")))
"""


def test_without_a_compiler_the_plain_function_does_the_work_and_this_said_once(tmp_path: Path) -> None:
    without = os.environ | {"CXX": str(tmp_path / "missing"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}

    done = subprocess.run([sys.executable, "-c", PROGRAM], env=without, capture_output=True, text=True, check=True)

    assert done.stdout == "[2.0, 2.0, 2.0] False False\n"
    assert done.stderr.count("Not compiled, so slower:") == 2  # once for each of the two functions


def test_a_compiler_that_cannot_make_its_folder_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    without = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "file" / "below")}

    done = subprocess.run([sys.executable, "-c", PROGRAM], env=without, capture_output=True, text=True, check=True)

    assert done.stdout == "[2.0, 2.0, 2.0] False False\n"
    assert f"Not a directory: '{tmp_path / 'file' / 'below'}'" in done.stderr
