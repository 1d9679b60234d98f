"""Loggers show what metrics.csv holds, and none of them can end a training."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from alexrepro.errors import Exit, UserError
from alexrepro.runs.run import Run
from alexrepro.training import loggers
from alexrepro.training import train as training
from alexrepro.training.loggers import Logger, Loggers, check_loggers

from ..toy import Train


def test_tensorboard_shows_every_row_of_the_record_also_after_a_crash(
    toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crash comes at the end of the second epoch, so that three steps are logged twice."""

    add_validation = Run.add_validation

    def power_cut(run: Run, row: Mapping[str, object]) -> None:
        if row["epoch"] == 2:
            raise OSError("power cut")
        add_validation(run, row)

    monkeypatch.setattr(training, "READ_LOSS_EVERY", 1)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "add_validation", power_cut)
        with pytest.raises(OSError, match="power cut"):
            toy(tmp_path, log=("tensorboard",))

    run = toy(tmp_path, log=("tensorboard",))

    events = EventAccumulator(str(run.tensorboard)).Reload()
    shown = {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}
    losses = [(step, pytest.approx(loss)) for step, loss in enumerate(run.metrics["loss"], 1)]  # kept as float32
    errors = [(3 * epoch, pytest.approx(error)) for epoch, error in run.validations[["epoch", "top1_error"]].to_numpy()]
    assert (shown["training/loss"], shown["validation/top1_error"]) == (losses, errors)
    assert len(losses) == 9
    assert "network.conv1.maps = 8" in str(events.Tensors("recipe/text_summary"))
    assert "stripes" in str(events.Tensors("environment/text_summary"))


def fail(*_: object) -> Any:
    raise ConnectionError("the network is down\nand more lines")


FAILING = {
    "at its start": fail,
    "when it logs": lambda *_: Logger(fail, lambda _: None),
    "at its end": lambda *_: Logger(lambda *_: None, fail),
}


@pytest.mark.parametrize("logger", FAILING.values(), ids=FAILING)
def test_a_logger_that_fails_is_named_once_and_ends_nothing(
    logger: Callable[..., Logger], toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(loggers.LOGGERS, "tensorboard", logger)

    run = toy(tmp_path, log=("tensorboard",))

    message = "--log tensorboard failed and is left out from now on: the network is down. metrics.csv has everything.\n"
    assert capsys.readouterr().err.count(message) == 1
    assert run.result is not None


def test_a_logger_without_its_package_is_refused_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wandb").mkdir()  # what W&B leaves where it was used is no package
    monkeypatch.setattr("sys.path", [str(tmp_path)])

    with pytest.raises(UserError, match="--log wandb needs a package") as refused:
        check_loggers(["wandb"])

    assert refused.value.fix == 'Install it with: pip install "alexrepro[wandb]".'
    with pytest.raises(UserError, match="no logger aim") as refused:
        check_loggers(["aim"])
    assert refused.value.exit_code is Exit.USAGE


def in_two_parts(run: Run, name: str) -> None:
    """Log the first two rows of a run in two starts."""
    for row in run.metrics.head(2).to_dict("records"):
        with Loggers(run, [name], step=row["step"] - 1) as opened:
            opened.log("training", {"loss": row["loss"]}, step=row["step"])


@pytest.mark.filterwarnings("ignore")  # of the package about its own libraries
def test_wandb_continues_under_the_same_id(toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="the extra alexrepro[wandb] is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = toy(tmp_path / "runs")

    in_two_parts(run, "wandb")

    ids = {path.name.rpartition("-")[2] for path in (run.folder / "wandb").glob("offline-run-*")}
    assert len(ids) == 1


@pytest.mark.filterwarnings("ignore")  # of the package about its own libraries
def test_mlflow_continues_under_the_same_id(toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="the extra alexrepro[mlflow] is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")

    in_two_parts(toy(tmp_path / "runs"), "mlflow")

    client = mlflow.MlflowClient()
    (found,) = client.search_runs([client.get_experiment_by_name("alexrepro").experiment_id])
    assert found.data.params["network.conv1.maps"] == "8"
    assert [metric.step for metric in client.get_metric_history(found.info.run_id, "training/loss")] == [1, 2]
