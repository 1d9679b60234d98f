"""Gradients of one step against float64 on the CPU: the plain and the fast path in every precision."""

import time
from collections.abc import Mapping
from typing import NamedTuple

import torch

from alexrepro.device import Device
from alexrepro.model.fast_network import Layout
from alexrepro.progress import say
from alexrepro.training.layouts import EVERYTHING
from benchmarks.gpu_check import contenders
from benchmarks.gpu_check.contenders import Gradients
from benchmarks.gpu_check.page import prose, table
from benchmarks.gpu_check.study import NOT_RUN, Facts, Study, reason

IMAGES = 8
PATHS = ("plain", "fast")
UNTIL = 0.38  # of the time
FIRST_GUESS = 25.0  # seconds of a case, before one has been measured


class Limit(NamedTuple):
    """The largest relative error, norm-wise, of any tensor, and of the last stage's weights and biases."""

    any_stage: float
    last_stage: float


# Float64 has no rounding to speak of: only the order of sums differs, so it tests the code. In the other formats
# rounding decides which of two nearly equal inputs of a max-pooling window, or which side of a ReLU's kink, gets the
# gradient. On a CPU these switches cost conv1 2e-3 in float32, 0.12 with the 10 bits of TF32, and 0.28 in bf16.
# No switch lies between the last stage and the loss: a CPU has 6e-7, 7e-4 and 5e-3 there.
LIMITS = {
    "float64": Limit(1e-9, 1e-9),
    "float32": Limit(3e-2, 1e-4),
    "tf32": Limit(0.25, 5e-3),
    "bf16": Limit(0.5, 5e-2),
}
WHY = """Float64 tests the code: only the order of additions differs, so every tensor must agree to 1e-9. In lower
precision, rounding decides which of two nearly equal inputs of a max-pooling window receives the gradient, and on which
side of zero the input of a ReLU lies. These switches dominate the error below fc8 and occur in correct code, too, so
the limit there only catches wrong terms. Between fc8 and the loss nothing switches, and its limit is tight."""


class Verdict(NamedTuple):
    """The tensor with the largest relative error, that error, that of the last stage, and whether both are allowed."""

    worst: str
    error: float
    last_error: float
    passed: bool


def verdict(errors: Mapping[str, float], limit: Limit) -> Verdict:
    """Judge the errors of all tensors, in the order of the stages. NaN fails."""
    last = list(errors)[-1].partition(".")[0]
    worst = max(errors, key=lambda name: float("inf") if errors[name] != errors[name] else errors[name])
    last_error = max(error for name, error in errors.items() if name.startswith(f"{last}."))
    passed = errors[worst] <= limit.any_stage and last_error <= limit.last_stage
    return Verdict(worst, errors[worst], last_error, passed)


def relative_errors(found: Gradients, wanted: Gradients) -> dict[str, float]:
    """The norm of the difference over the norm of the reference, for each tensor."""
    return {name: float((found[name] - value).norm() / value.norm()) for name, value in wanted.items()}


def run(study: Study, facts: Facts) -> None:
    facts |= {"images": IMAGES, "limits": {name: limit._asdict() for name, limit in LIMITS.items()}, "cases": []}
    wanted: dict[str, Gradients] = {}
    seconds = FIRST_GUESS
    for precision in ("float64", *study.precisions):
        for recipe in study.recipes:
            for path in PATHS:
                case = {"recipe": recipe, "precision": precision, "path": path}
                facts["cases"].append(case)
                if not study.budget.has(seconds, until=UNTIL):
                    case["state"] = NOT_RUN
                    continue
                if recipe not in wanted:
                    wanted[recipe] = reference(recipe)
                started = time.perf_counter()
                _judge(study, case, wanted[recipe])
                seconds = max(1.2 * (time.perf_counter() - started), 0.0 if study.is_short else 5.0)


def reference(name: str) -> Gradients:
    """Gradients of the plain step in float64 on the CPU."""
    recipe = contenders.undecayed(name, "float64", batch=IMAGES)
    batch = contenders.batch_of(recipe, IMAGES, contenders.CPU)
    return contenders.plain_gradients(contenders.training_of(recipe, Device(contenders.CPU), torch.float64), batch)


def gradients_on(device: Device, case: Facts, layout: Layout = EVERYTHING) -> Gradients:
    """Gradients of a case on a device; layout: of its fast path."""
    recipe = contenders.undecayed(case["recipe"], case["precision"], batch=IMAGES)
    batch = contenders.batch_of(recipe, IMAGES, device.torch_device)
    dtype = torch.float64 if case["precision"] == "float64" else torch.float32
    training = contenders.training_of(recipe, device, dtype)
    if case["path"] == "plain":
        return contenders.plain_gradients(training, batch)
    return contenders.fast_gradients(training, batch, layout)


def _judge(study: Study, case: Facts, wanted: Gradients) -> None:
    title = f"{case['recipe']}, {case['precision']}, {case['path']}"
    try:
        found = gradients_on(Device(study.device, compiles=case["path"] == "fast"), case)
        case["errors"] = relative_errors(found, wanted)
        judged = verdict(case["errors"], LIMITS[case["precision"]])
    except Exception as error:
        case["state"] = f"failed: {reason(error)}"
        say(f"  {title}: {case['state']}")
        return
    case |= judged._asdict() | {"state": "passed" if judged.passed else "FAILED"}
    say(f"  {title}: largest error {judged.error:.1e} in {judged.worst}, {case['state']}")


def has_failed(facts: Facts) -> bool:
    """Whether a limit was exceeded, or a case ended with an error."""
    return any(case["state"].lower().startswith("failed") for case in facts.get("cases", ()))


def section(facts: Facts) -> str:
    if "cases" not in facts:
        return NOT_RUN
    rows = []
    for case in facts["cases"]:
        numbers = ["", "", ""]
        if "errors" in case:
            numbers = [case["worst"], f"{case['error']:.1e}", f"{case['last_error']:.1e}"]
        limit = LIMITS[case["precision"]]
        bounds = [f"{limit.any_stage:g}", f"{limit.last_stage:g}"]
        named = [case["recipe"], case["precision"], case["path"]]
        rows.append([*named, numbers[0], numbers[1], bounds[0], numbers[2], bounds[1], case["state"]])
    header = ("recipe", "precision", "path", "worst tensor", "error", "limit", "fc8", "limit", "verdict")
    blocks = [
        prose(
            f"The gradient of each tensor in a step on {facts['images']} random images, with initial weights: the norm "
            "of its difference from the reference over the norm of the reference. The reference is the plain path in "
            "float64 on the CPU."
        ),
        table(header, rows), prose(WHY), *_by_tensor(facts["cases"]),
    ]  # fmt: skip
    return "\n\n".join(blocks)


def _by_tensor(cases: list[Facts]) -> list[str]:
    """For each recipe, the errors of every tensor by the plain and by the fast path."""
    blocks = []
    for recipe in dict.fromkeys(case["recipe"] for case in cases):
        errors = {(case["precision"], case["path"]): case["errors"] for case in cases
                  if case["recipe"] == recipe and "errors" in case}  # fmt: skip
        precisions = list(dict.fromkeys(precision for precision, _ in errors))
        tensors = list(next(iter(errors.values()), ()))
        rows = [
            [tensor, *(" / ".join(_error(errors.get((each, path)), tensor) for path in PATHS) for each in precisions)]
            for tensor in tensors
        ]
        blocks += [f"{recipe}, plain / fast:", table(("tensor", *precisions), rows)] if rows else []
    return blocks


def _error(errors: dict[str, float] | None, tensor: str) -> str:
    return f"{errors[tensor]:.0e}" if errors else NOT_RUN
