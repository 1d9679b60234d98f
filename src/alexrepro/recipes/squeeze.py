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
    if isinstance(schedule, Decay) and schedule.levels is None:
        return replace(schedule, end=_end(schedule, training, epochs))
    return schedule


def _end(decay: Decay, training: Training, epochs: int) -> float:
    """The last epoch's rate where the rate falls a little every epoch: that of the moment where the epoch begins."""
    per_epoch = (decay.end / training.rate) ** (1 / max(1, training.epochs - 1))
    return float(training.rate * per_epoch ** ((epochs - 1) * training.epochs / epochs))


def _up(share: int, whole: int) -> int:
    return -(-share // whole)
