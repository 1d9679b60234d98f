"""Compiled functions where there is no compiler: one warning each, and the plain function is called."""

from pathlib import Path

import pytest
import torch
import torch._inductor.config

from alexrepro.model.compiled import Compiled, can_compile

REASONS = {  # what is missing, and the beginning of the reason
    "no compiler": ("CXX", "missing", " InvalidCxxCompiler"),
    "no folder for its cache": ("TORCHINDUCTOR_CACHE_DIR", "file/below", " [Errno 20] Not a directory"),
}


@pytest.mark.parametrize(("variable", "path", "reason"), REASONS.values(), ids=REASONS)
def test_without_a_compiler_or_its_folder_the_plain_function_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, variable: str, path: str,
    reason: str,
) -> None:  # fmt: skip
    (tmp_path / "file").touch()
    torch.compiler.reset()  # what was compiled before
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv(variable, str(tmp_path / path))
    if variable == "CXX":  # torch has read it by now
        monkeypatch.setattr(torch._inductor.config.cpp, "cxx", (None, str(tmp_path / path)))

    double = Compiled(lambda x: 2 * x)

    assert [double(torch.ones(1)).item() for _ in range(3)] == [2.0, 2.0, 2.0]
    assert not double.works
    assert not can_compile(torch.device("cpu"))
    assert capsys.readouterr().err.count(f"Not compiled, so slower:{reason}") == 2  # once for each function
