"""What a machine offers is read as it stands there, and judged."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import PIL
import pytest
import torch

from alexrepro import processors
from alexrepro.diagnostics import system_checks
from alexrepro.diagnostics.system_checks import check_gpus, free_memory, memory, versions
from alexrepro.errors import Exit


@pytest.mark.parametrize(
    ("version", "verdict"), [("2.10.0", "error"), ("2.11.0", "ok"), ("2.15.0+cpu", "ok"), ("2.16.0", "error")]
)
def test_a_torch_that_is_not_supported_is_wrong(version: str, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", version)

    (found,) = (finding for finding in versions() if finding.what == "torch")

    assert (found.verdict, found.found.startswith(version)) == (verdict, True)
    assert found.exit_code == (Exit.BAD_CONFIG if verdict == "error" else Exit.OK)


def test_a_checkout_that_is_not_installed_asks_for_the_same_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = list(versions())

    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(system_checks, "requires", absent)
    monkeypatch.setattr(torch, "__version__", "1.0")

    torch_row = next(finding for finding in versions() if finding.what == "torch")
    monkeypatch.undo()
    monkeypatch.setattr(system_checks, "requires", absent)

    assert list(versions()) == installed
    assert torch_row.found == "1.0; <2.16,>=2.11 is supported"


def test_pillow_simd_is_named_and_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL, "__version__", "12.1.1.post0")

    (found,) = (finding for finding in versions() if finding.what == "Pillow")

    assert (found.found, found.verdict) == ("12.1.1.post0", "ok")


def test_gpus_are_named_with_their_memory_and_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = tmp_path / "version"
    driver.write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\nGCC version: 12\n"
    )
    monkeypatch.setattr(system_checks, "DRIVER", driver)
    monkeypatch.setattr(system_checks, "gpus", lambda: [("Old", 8 * 10**9, "3.0"), ("New", 80 * 10**9, "9.0")])

    old, new = check_gpus("auto")

    assert old.what == "GPU 0"
    assert (new.what, new.found) == ("GPU 1", "New, 80.0 GB, compute capability 9.0, driver 580.65.06")


def test_a_driver_without_a_gpu_for_torch_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(system_checks, "DRIVER", tmp_path / "absent")
    (none,) = check_gpus("auto")
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.57.02  2021\n")
    monkeypatch.setattr(system_checks, "DRIVER", tmp_path / "version")
    (old,) = check_gpus("auto")

    assert (none.found, none.verdict) == ("none: training runs on the CPU", "ok")
    assert ("470.57.02" in old.found, old.verdict) == (True, "warning")


def test_free_memory_is_the_least_of_system_and_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = tmp_path / "slurm" / "job"
    (job / "task").mkdir(parents=True)
    (job / "memory.max").write_text("4000000\n")
    (job / "memory.current").write_text("3000000\n")
    (job / "memory.stat").write_text("anon 1\ninactive_file 500000\nactive_file 7\n")
    (tmp_path / "slurm" / "memory.max").write_text("max\n")
    (tmp_path / "own").write_text("0::/slurm/job/task\n")
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    2000 kB\n")
    monkeypatch.setattr(processors, "GROUPS", tmp_path)
    monkeypatch.setattr(processors, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(system_checks, "MEMORY", tmp_path / "meminfo")

    in_group = free_memory()
    (job / "memory.max").write_text("max\n")

    assert (in_group, free_memory()) == (1_500_000, 2_048_000)


def test_too_little_memory_is_wrong() -> None:
    row = memory(2_100_000_000, 2_000_000_000)

    assert memory(1_900_000_000, 2_000_000_000).verdict == memory(1_900_000_000, None).verdict == "ok"
    assert (row.verdict, row.exit_code) == ("error", Exit.OUT_OF_MEMORY)
    assert row.found == "2.0 GB free, about 2.1 GB needed"
