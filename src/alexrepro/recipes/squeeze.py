"""A schedule squeezed into another number of epochs, without ever being ahead of itself.

An epoch trains at the rates that the whole schedule has at the moment where the epoch's share of the way begins: of 9
epochs in place of 90, the third at those of epoch 21. So a line moves to an earlier epoch, but no line that begins
later than epoch 1 reaches it, and lines keep their order.
"""

from dataclasses import replace

from alexrepro.paper.training import Decay, Plateau, Script, Training

Schedule = Plateau | Script | Decay


def squeezed(training: Training, epochs: int) -> Schedule:
    """The schedule of a training for this many epochs in place of its own."""
    schedule, whole = training.schedule, training.epochs
    if isinstance(schedule, Plateau):
        return replace(schedule, patience_epochs=_up(schedule.patience_epochs * epochs, whole))
    schedule = replace(
        schedule, at=tuple(replace(n, epoch=1 + _up((n.epoch - 1) * epochs, whole)) for n in schedule.at)
    )
    if not isinstance(schedule, Decay):
        return schedule
    passed = (epochs - 1) * whole / epochs  # epochs of the whole schedule, as the last one of these begins
    share = passed / max(1, whole - 1)
    return replace(
        schedule,
        end=schedule.end if schedule.levels else _fallen(training.learning_rate, schedule.end, share),
        bias_end=schedule.bias_end
        if schedule.bias_levels
        else _fallen(training.bias_learning_rate, schedule.bias_end, share),
    )


def _fallen(start: float, end: float, share: float) -> float:
    """A rate that falls by the same factor every epoch, after this share of its way from start to end."""
    return float(start * (end / start) ** share)


def _up(share: int, whole: int) -> int:
    return -(-share // whole)
