"""The processors that a program may use: its affinity mask, and the CPU limits of its control groups."""

import os
from pathlib import Path

import pytest

from alexrepro import processors
from alexrepro.processors import usable_processors

CONTAINER, STEP = {"own": "0::/c1\n"}, {"own": "0::/job_4/step_0\n"}
CASES = {  # control groups of a machine whose affinity mask has 64 processors, and the processors of the program
    "no control group": ({}, 64),
    "a quota": ({**CONTAINER, "c1/cpu.max": "200000 100000\n"}, 2),
    "a fraction rounds up": ({**CONTAINER, "c1/cpu.max": "150000 100000\n"}, 2),
    "less than one": ({**CONTAINER, "c1/cpu.max": "50000 100000\n"}, 1),
    "no limit": ({**CONTAINER, "c1/cpu.max": "max 100000\n"}, 64),
    "the least of nested groups": ({**STEP, "job_4/cpu.max": "400000 100000\n", "job_4/step_0/cpu.max": "8 1\n"}, 4),
    "a damaged file": ({**CONTAINER, "c1/cpu.max": "\n"}, 64),
}


@pytest.mark.parametrize(("files", "expected"), CASES.values(), ids=CASES)
def test_the_tightest_limit_counts(
    files: dict[str, str], expected: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(processors, "GROUPS", tmp_path)
    monkeypatch.setattr(processors, "OWN_GROUPS", tmp_path / "own")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert usable_processors() == expected
