"""Run the cases and print a line for each: ways in which people's data, disks, clusters and checkpoints differ.

Each NN-name.sh makes its own input and runs the program; expected.toml says what a good answer holds.
Run all of them, or those named, with: make cases, or .venv/bin/python tests/cases/run.py 04 12
"""

import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NEVER = (r"^\[exit 1\]$", r"Traceback \(most recent call last\)", r"\x1b\[", r"frame #\d+", r"weights_only")
LIMIT_SECONDS = 900


def output_of(case: Path) -> str:
    """Everything that a case prints, in the order of printing."""
    done = subprocess.run(
        ["bash", str(case)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT_SECONDS, check=False
    )
    return done.stdout.decode(errors="replace")


def faults(output: str, expected: dict[str, Any]) -> Iterator[str]:
    """What is missing from an output, and what should not be in it."""
    yield from (f"prints {found[0]!r}" for pattern in NEVER if (found := re.search(pattern, output, re.MULTILINE)))
    yield from (f"lacks {text!r}" for text in expected["must"] if not re.search(text, output, re.DOTALL))
    yield from (f"prints {text!r}" for text in expected.get("never", ()) if re.search(text, output))
    exits = [int(code) for code in re.findall(r"^\[exit (\d+)\]$", output, re.MULTILINE)]
    if "exits" in expected and exits != expected["exits"]:
        yield f"exits with {exits}, not {expected['exits']}"


def main(wanted: list[str]) -> int:
    """Run the cases whose names begin with one of the words, or all; 1 if one of them fails."""
    expectations = tomllib.loads((HERE / "expected.toml").read_text(encoding="utf-8"))
    failed = 0
    for case in sorted(HERE.glob("[0-9]*.sh")):
        if wanted and not case.name.startswith(tuple(wanted)):
            continue
        start = time.monotonic()
        output = output_of(case)
        wrong = list(faults(output, expectations[case.stem]))
        failed += bool(wrong)
        print(f"{case.stem:36} {'; '.join(wrong) or 'ok'} ({time.monotonic() - start:.0f} s)", flush=True)
        if wrong and wanted:
            print(output)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
