"""The processors that a program may use: its affinity mask, and the CPU limits of its control groups."""

import os
from pathlib import Path

import pytest

from alexrepro import processors
from alexrepro.processors import usable_processors


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty tree of control groups on a machine of 64 processors, all of them in the affinity mask."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(processors, "GROUPS", tmp_path)
    monkeypatch.setattr(processors, "OWN_GROUPS", tmp_path / "own")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_limits_the_affinity_mask_counts(groups: Path) -> None:
    assert usable_processors() == 64


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("200000 100000\n", 2), ("150000 100000\n", 2), ("50000 100000\n", 1), ("max 100000\n", 64)],
)
def test_a_container_counts_by_its_quota_rounded_up(groups: Path, quota: str, expected: int) -> None:
    write(groups / "own", "0::/docker/c1\n")
    write(groups / "docker/c1/cpu.max", quota)

    assert usable_processors() == expected


def test_the_tightest_of_the_groups_above_counts(groups: Path) -> None:
    write(groups / "own", "0::/job_4/step_0\n")
    write(groups / "job_4/cpu.max", "400000 100000\n")
    write(groups / "job_4/step_0/cpu.max", "800000 100000\n")

    assert usable_processors() == 4


def test_control_groups_of_version_1_are_read(groups: Path) -> None:
    write(groups / "own", "7:cpu,cpuacct:/job_4\n3:memory:/job_4\n")
    write(groups / "cpu/job_4/cpu.cfs_quota_us", "300000\n")
    write(groups / "cpu/job_4/cpu.cfs_period_us", "100000\n")

    assert usable_processors() == 3


def test_a_group_whose_files_cannot_be_read_limits_nothing(groups: Path) -> None:
    write(groups / "own", "0::/odd\n")
    write(groups / "odd/cpu.max", "\n")

    assert usable_processors() == 64
