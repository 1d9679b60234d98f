"""Learning rates and the color shift at an epoch: pure functions of the recipe and the past validation errors."""

from collections.abc import Sequence
from dataclasses import dataclass

from alexrepro.paper.network import Stage
from alexrepro.paper.training import At, Decay, Plateau, Script, Training

MOST_SHOWN = 8  # rates of a schedule in a message


@dataclass(frozen=True)
class Rates:
    """What holds during one epoch: the rate of each stage's weights and biases, and whether colors are shifted."""

    weights: dict[str, float]
    biases: dict[str, float]
    has_color_shift: bool

    @property
    def can_all_learn(self) -> bool:
        """Whether no stage is frozen."""
        return all(rate > 0 for rate in (*self.weights.values(), *self.biases.values()))

    @property
    def general(self) -> float:
        """The rate of the last stage, which follows every general line of a schedule."""
        return list(self.weights.values())[-1]


def rates_at(training: Training, stages: Sequence[Stage], *, epoch: int, errors: Sequence[float]) -> Rates:
    """The rates of an epoch (counted from 1), given the validation errors of the epochs before it (§5)."""
    if isinstance(training.schedule, Plateau):
        share = training.learning_rate_factor * training.schedule.factor ** -drops_after(training.schedule, errors)
        weights = {s.name: training.learning_rate * s.learning_rate_factor * share for s in stages}
        return Rates(weights, {s.name: training.bias_learning_rate * share for s in stages}, has_color_shift=True)
    lines = _lines_until(training.schedule, epoch)
    start, bias_start = training.learning_rate, training.bias_learning_rate
    if isinstance(training.schedule, Decay):
        start = training.schedule.rate_at(epoch, start=start, epochs=training.epochs)
        bias_start = training.schedule.bias_rate_at(epoch, start=bias_start, epochs=training.epochs)
    rates = {s.name: _last(lines, s.name, "learning_rate", start) for s in stages}
    biases = {s.name: _last(lines, s.name, "bias_learning_rate", bias_start) for s in stages}
    shifts = [line.color_shift for line in lines if line.color_shift is not None]
    return Rates(
        {s.name: training.learning_rate_factor * rates[s.name] * s.learning_rate_factor for s in stages},
        {s.name: training.learning_rate_factor * biases[s.name] for s in stages},
        has_color_shift=shifts[-1] if shifts else True,
    )


def drops_after(plateau: Plateau, errors: Sequence[float]) -> int:
    """How often the rate has been divided after these validation errors, at most `plateau.drops` times.

    A drop comes when the best error is `patience_epochs` old; then the waiting starts anew.
    """
    drops, best, waited = 0, float("inf"), 0
    for error in errors:
        waited = 0 if error < best else waited + 1
        best = min(best, error)
        if waited == plateau.patience_epochs:
            drops, waited = drops + 1, 0
    return min(drops, plateau.drops)


def described(training: Training, stages: Sequence[Stage]) -> str:
    """The general rates of a training in words: `epoch 1: rate 0.01; epoch 4: rate 0.001`."""
    schedule = training.schedule
    rates = [rates_at(training, stages, epoch=n, errors=()).general for n in range(1, training.epochs + 1)]
    if isinstance(schedule, Plateau):
        patience = f"{schedule.patience_epochs} epoch{'s' if schedule.patience_epochs > 1 else ''}"
        return f"epoch 1: rate {rates[0]:.3g}; divided by {schedule.factor:g} after {patience} without improvement"
    steps = [n for n, rate in enumerate(rates) if n == 0 or rate != rates[n - 1]]
    if len(steps) > MOST_SHOWN:
        return f"epoch 1: rate {rates[0]:.3g}; falling to {rates[-1]:.3g} in epoch {len(rates)}"
    return "; ".join(f"epoch {n + 1}: rate {rates[n]:.3g}" for n in steps)


def _lines_until(script: Script | Decay, epoch: int) -> list[At]:
    return [line for line in script.at if line.epoch <= epoch]


def _last(lines: Sequence[At], stage: str, kind: str, start: float) -> float:
    """The last value for a stage: of the lines that name it, or, if none does, of the general ones."""
    named = [getattr(line, kind) for line in lines if stage in line.stages and getattr(line, kind) is not None]
    general = [getattr(line, kind) for line in lines if not line.stages and getattr(line, kind) is not None]
    values: list[float] = named or general
    return values[-1] if values else start
