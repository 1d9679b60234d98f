"""Compiled functions: one warning and the plain function without a compiler; code for this CPU from a shared cache."""

import os
import subprocess
import sys
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


DOUBLE_MANY = """
import torch
from alexrepro.model.compiled import Compiled

doubled = Compiled(lambda x: 2 * x + 1)
print(torch.equal(doubled(torch.arange(1000.0)), doubled.plain(torch.arange(1000.0))), doubled.works)
"""


def test_the_cache_is_asked_for_code_of_this_kind_of_cpu() -> None:
    Compiled(lambda x: 2 * x)(torch.ones(1))

    assert torch.compiler.config.cache_key_tag.endswith(torch.backends.cpu.get_cpu_capability())


@pytest.mark.long
@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() != "AVX512", reason="needs a CPU that can be told to be less"
)
def test_a_cache_that_another_kind_of_cpu_filled_changes_no_value(tmp_path: Path) -> None:
    for capability in ("avx512", "avx2"):
        process = subprocess.run(
            [sys.executable, "-c", DOUBLE_MANY],
            env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "ATEN_CPU_CAPABILITY": capability},
            capture_output=True,
            text=True,
            check=False,
        )

        assert process.stdout == "True True\n", process.stderr
