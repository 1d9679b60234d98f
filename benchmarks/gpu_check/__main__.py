"""Check a GPU and write a page about it.

python -m benchmarks.gpu_check [--out docs/results] [--minutes 9] [--short]

Needs no data set and no network. Writes gpu-NAME.md and gpu-NAME.json. Exit code 1: a gradient or a mask is wrong.
"""

import argparse
import json
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from alexrepro.errors import Exit
from alexrepro.files import write_text
from alexrepro.progress import say
from benchmarks.gpu_check import environment, gradients, images, kernels, repeats, roofline, speed
from benchmarks.gpu_check.page import prose, slug
from benchmarks.gpu_check.study import NOT_RUN, Budget, Facts, Study, TimeUp, reason

WRONG = 1
REPEATED = 10.0  # seconds until the alarm rings again, should a library have swallowed it
Parts = dict[str, Callable[[Study, Facts], None]]
PARTS: Parts = {
    "environment": environment.run,
    "roofline": roofline.run,
    "gradients": gradients.run,
    "repeats": repeats.run,
    "speed": speed.run,
    "images": images.run,
}


def check(study: Study, out: Path) -> int:
    """Run all parts and write the page; returns the exit code."""
    found: dict[str, Facts] = {name: {} for name in PARTS}
    started = datetime.now(UTC).isoformat(" ", "seconds")
    found["check"] = {"minutes": study.budget.seconds / 60, "short": study.is_short, "started": started}
    name = f"gpu-{slug(torch.cuda.get_device_name(study.device))}"
    try:
        for part, run in PARTS.items():
            say(f"[{study.budget.spent:4.0f} s] {part}")
            try:
                run(study, found[part])
            except Exception as error:
                found[part]["failed"] = reason(error)
                say(traceback.format_exc(limit=-3))
            _forget()
            _write(study, found, out / name)  # now, in case a later part hangs
    except TimeUp:
        signal.alarm(0)
        say("The time is up; what is left is not run.")
    signal.alarm(0)
    _write(study, found, out / name)
    is_correct = found["check"]["correct"]
    say(f"{'The page is' if is_correct else 'FAILED: a result is wrong; see'} {out / name}.md")
    return Exit.OK if is_correct else WRONG


def page(found: dict[str, Facts]) -> str:
    """The page, from the facts alone."""
    about, speeds = found["check"], found["speed"]
    sections = {
        "Environment": environment.section(found["environment"]),
        "Gradients": gradients.section(found["gradients"]),
        "Repeatability": repeats.section(found["repeats"]),
        "Speed of a step": speed.section(speeds, found["roofline"].get("TFLOP/s", {})),
        "Roofline": f"{roofline.section(found['roofline'])}\n\n{speed.distance(speeds, found['roofline'])}",
        "Kernels of a step in bf16": kernels.section(speeds.get("profiles", {})),
        "Loader": images.section(found["images"], "loader"),
        "Evaluation": images.section(found["images"], "evaluation"),
    }
    cases = found["gradients"].get("cases", [])
    done = [case for case in cases if case["state"] != NOT_RUN]
    verdict = f"{len(done)} of {len(cases)} comparisons of gradients run, all within their limits" if done else NOT_RUN
    verdict = verdict if about["correct"] else "**FAILED**: at least one result is outside its limit"
    kind = " Short form: the small network and few steps, to try the check itself." if about["short"] else ""
    lines = [
        f"# {found['environment'].get('GPU', 'Unknown GPU')}",
        prose(
            f"Output of `make gpu-check`, started {about['started']}; it took {about['seconds'] / 60:.1f} of "
            f"{about['minutes']:g} minutes. Every number was measured in this run; the raw numbers are in the JSON "
            f"file of the same name.{kind}"
        ),
        f"Correctness: {verdict}.",
    ]
    failures = [
        f"- The part *{name}* ended early: {facts['failed']}" for name, facts in found.items() if "failed" in facts
    ]
    lines += ["\n".join(failures)] if failures else []
    lines += [f"## {title}\n\n{text}" for title, text in sections.items()]
    return "\n\n".join(lines) + "\n"


def _forget() -> None:
    try:
        speed.forget()
    except Exception as error:  # after a failed kernel every call fails
        say(f"  The GPU no longer answers: {reason(error)}")


def _write(study: Study, found: dict[str, Facts], base: Path) -> None:
    is_wrong = gradients.has_failed(found["gradients"]) or repeats.has_failed(found["repeats"])
    found["check"] |= {"seconds": study.budget.spent, "correct": not is_wrong}
    base.parent.mkdir(parents=True, exist_ok=True)
    write_text(base.with_name(f"{base.name}.json"), json.dumps(found, indent=1, default=str) + "\n")
    write_text(base.with_name(f"{base.name}.md"), page(found))


def _time_up(*_: Any) -> None:
    raise TimeUp


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs/results"), help="folder of the page")
    parser.add_argument("--minutes", type=float, default=9.0, help="time for the whole check")
    parser.add_argument("--short", action="store_true", help="small network and few steps, to try the check itself")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        built = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built without CUDA"
        say(f"No GPU that torch can use: torch {torch.__version__} {built}. See whether nvidia-smi lists a GPU.")
        return Exit.NO_DEVICE
    warnings.simplefilter("ignore")  # of torch's compiler and Triton, about themselves
    torch.cuda.set_device(0)
    study = Study(torch.device("cuda", 0), Budget(60 * asked.minutes), asked.short)
    signal.signal(signal.SIGALRM, _time_up)
    signal.setitimer(signal.ITIMER_REAL, study.budget.seconds, REPEATED)
    return check(study, asked.out)


if __name__ == "__main__":
    sys.exit(main())
