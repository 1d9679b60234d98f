"""Whether results repeat bit by bit: masks, a second run, a run that was stopped, and a second GPU."""

import torch
from torch import Tensor

from alexrepro.device import Device
from alexrepro.progress import say
from alexrepro.training.fast_step import FastStep
from benchmarks.gpu_check import contenders, gradients
from benchmarks.gpu_check.contenders import Training, layouts
from benchmarks.gpu_check.page import prose, table
from benchmarks.gpu_check.study import NOT_RUN, Facts, Study, reason

UNTIL = 0.48
STEPS, STOP_AFTER = 30, 15
SECONDS = 30.0  # of a question with a recording, before one has been measured
EQUAL = "bitwise equal"
MASKS, SECOND_GPU = "masks", "second GPU"
BYTES = {4: torch.int32, 8: torch.int64}


def run(study: Study, facts: Facts) -> None:
    questions = {MASKS: _masks, "runs": _runs, SECOND_GPU: _second_gpu}
    for number, (name, ask) in enumerate(questions.items()):
        if number and not study.budget.has(SECONDS if not study.is_short else 1.0, until=UNTIL):
            facts[name] = NOT_RUN
            continue
        try:
            ask(study, facts)
        except Exception as error:
            facts[name] = f"failed: {reason(error)}"
        say(f"  {name}: {facts.get(name, 'done')}")


def difference(found: list[Tensor], wanted: list[Tensor]) -> str:
    """`bitwise equal`, or how many values differ and by how much, relative to the norm of the tensor."""
    differing = total = 0
    largest = 0.0
    for one, other in zip(found, wanted, strict=True):
        total += one.numel()
        kind = BYTES[one.element_size()]
        unequal = int((one.view(kind) != other.view(kind)).sum())
        if unequal:
            differing += unequal
            largest = max(largest, float((one - other).norm() / other.norm()))
    if not differing:
        return EQUAL
    return f"not equal: {differing / total:.1%} of the values, by {largest:.1e} of a tensor's norm"


def has_failed(facts: Facts) -> bool:
    """Whether masks differ, GPUs differ by more than rounding, or something broke; runs may differ by rounding."""
    return facts.get(MASKS, EQUAL) != EQUAL or any(found.lower().startswith("failed") for found in facts.values())


def _masks(study: Study, facts: Facts) -> None:
    recipe = contenders.recipe_of(study.recipe, "float32")
    found = []
    for device in (study.device, contenders.CPU):
        training = contenders.training_of(recipe, Device(device))
        masks = [training.model.masks(recipe.training.batch, seeds) for seeds in training.seeds()[:3]]
        found.append([mask.cpu() for each in masks for mask in each.values()])
    facts[MASKS] = difference(*found)


def _runs(study: Study, facts: Facts) -> None:
    """Four runs of bf16 steps: the first, the same recording again, another recording, and one that was stopped."""
    recipe, device = contenders.recipe_of(study.recipe, "bf16"), Device(study.device, compiles=True)
    batch, layout = contenders.batch_of(recipe, recipe.training.batch, study.device), next(iter(layouts().values()))

    def steps(training: Training, step: FastStep, first: int, last: int) -> list[Tensor]:
        for seeds in training.seeds()[first:last]:
            step(batch, seeds)
        return [tensor.detach().to(contenders.CPU, copy=True) for tensor in training.tensors]

    training = contenders.training_of(recipe, device)
    step, initial = contenders.fast_step(training, batch, layout), [t.detach().clone() for t in training.tensors]
    halfway = steps(training, step, 0, STOP_AFTER)
    whole = steps(training, step, STOP_AFTER, STEPS)
    facts["weights are finite"] = "yes" if all(bool(tensor.isfinite().all()) for tensor in whole) else "no"
    contenders.restore(training, step, initial)
    facts["the same recording again"] = difference(steps(training, step, 0, STEPS), whole)
    step = contenders.fast_step(training, batch, layout)
    contenders.restore(training, step, initial)
    facts["another recording"] = difference(steps(training, step, 0, STEPS), whole)
    training = contenders.training_of(recipe, device)
    with torch.no_grad():
        for tensor, saved in zip(training.tensors, halfway, strict=True):
            tensor.copy_(saved)
    step = contenders.fast_step(training, batch, layout)
    facts["stopped and resumed"] = difference(steps(training, step, STOP_AFTER, STEPS), whole)


def _second_gpu(study: Study, facts: Facts) -> None:
    if torch.cuda.device_count() < 2:
        facts[SECOND_GPU] = f"{NOT_RUN}: there is one"
        return
    case = {"recipe": study.recipe, "precision": "bf16", "path": "fast"}
    found = []
    try:
        for number in range(2):
            torch.cuda.set_device(number)
            found.append(gradients.gradients_on(Device(torch.device("cuda", number), compiles=True), case))
    finally:
        torch.cuda.set_device(study.device)
    errors = gradients.relative_errors(found[1], found[0])
    passed = gradients.verdict(errors, gradients.LIMITS["bf16"]).passed
    facts[SECOND_GPU] = ("" if passed else "FAILED, ") + difference(list(found[1].values()), list(found[0].values()))


def section(facts: Facts) -> str:
    if not facts:
        return NOT_RUN
    about = (
        f"Weights and velocities after {STEPS} fast steps in bf16, compared with a first run. The stopped run was "
        f"saved after {STOP_AFTER} steps and continued by a new recording. Masks: GPU against CPU. Second GPU: "
        "gradients of one step."
    )
    return f"{prose(about)}\n\n{table(('what', 'result'), list(facts.items()))}"
