"""Loggers are told what metrics.csv says, each number once, and none of them can end a run."""

import ast
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util.tensor_util import make_ndarray

from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.distributed.process_group import ProcessGroup
from alexrepro.distributed.rank import Rank
from alexrepro.errors import Exit, UserError
from alexrepro.files import read_json
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.run import Run
from alexrepro.training import loggers, trackers
from alexrepro.training import train as training
from alexrepro.training.job import TrainingJob
from alexrepro.training.loggers import Log, check_loggers, open_log
from alexrepro.training.state import Trainer, start
from alexrepro.training.trackers import FOLDER, Rows
from alexrepro.training.train import train

Train = Callable[..., Run]


@pytest.fixture
def toy(stores: dict[str, Store], recipe: Recipe, device: Device, monkeypatch: pytest.MonkeyPatch) -> Train:
    monkeypatch.setattr(training, "READ_LOSS_EVERY", 1)

    def run(folder: Path, *log: str) -> Run:
        return train(
            TrainingJob(
                recipe, store=stores["train"], validation=stores["val"], runs=folder, seed=0, device=device, log=log
            )
        )

    return run


class Notebook:
    """A tracker that writes down what it is told; where it breaks is up to its heirs."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.ended: list[bool] = []
        self.known: list[str | None] = []

    def begin(self, run: Run, known: str | None) -> str:
        self.known.append(known)
        return known or f"id of {run.folder.name}"

    def scalars(self, rows: Rows) -> None:
        self.rows += [(step, dict(values)) for step, values in rows]

    def end(self, *, is_complete: bool) -> None:
        self.ended.append(is_complete)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    """Stands in the place of TensorBoard."""
    found = Notebook()
    monkeypatch.setitem(loggers.TRACKERS, "tensorboard", lambda: found)
    return found


def power_cut(method: Callable[..., Any], when: Callable[..., bool]) -> Callable[..., Any]:
    """The same method, until a power cut comes in its place."""

    def call(*arguments: Any) -> Any:
        if when(*arguments):
            raise OSError("power cut")
        return method(*arguments)

    return call


@contextmanager
def cut_at(part: type, name: str, when: Callable[..., bool]) -> Iterator[None]:
    """A power cut at a method of a class."""
    with pytest.MonkeyPatch.context() as patch, suppress(OSError):
        patch.setattr(part, name, power_cut(getattr(part, name), when))
        yield


def scalars_in_files(run: Run) -> list[tuple[str, int]]:
    """Every number in the event files, as (name, update), however often it is there."""
    files = sorted((run.folder / FOLDER).glob("events.out.tfevents.*"))
    events = [event for file in files for event in EventFileLoader(str(file)).Load()]
    numbers = [(value, event.step) for event in events for value in event.summary.value]
    return [(value.tag, step) for value, step in numbers if make_ndarray(value.tensor).dtype.kind == "f"]


def test_tensorboard_shows_every_row_of_the_record(toy: Train, tmp_path: Path) -> None:
    run = toy(tmp_path, "tensorboard")

    shown = EventAccumulator(str(run.folder / FOLDER)).Reload()
    losses = [(event.step, event.value) for event in shown.Scalars("training/loss")]
    errors = [(event.step, event.value) for event in shown.Scalars("validation/top1_error")]

    assert losses == [(int(row["step"]), pytest.approx(float(row["loss"]))) for row in run.metrics]  # kept as float32
    assert errors == [
        (3 * int(row["epoch"]), pytest.approx(float(row["top1_error"]))) for row in run.validations
    ]  # 3 updates an epoch
    assert set(shown.Tags()["scalars"]) == {
        "training/loss", "training/learning_rate", "training/images_per_second", "training/top1_error",
        "validation/top1_error", "validation/top5_error", "validation/loss",
    }  # fmt: skip
    assert "network.conv1.maps = 8" in str(shown.Tensors("recipe/text_summary"))
    assert "stripes" in str(shown.Tensors("environment/text_summary"))


def test_a_run_that_goes_on_writes_no_update_twice(toy: Train, tmp_path: Path) -> None:
    """Twice it comes to the end of the second epoch, but not to its checkpoint: before its validation, and after."""
    with cut_at(Run, "add_validation", lambda run, row: row[0] == 2):
        toy(tmp_path, "tensorboard")
    with cut_at(Trainer, "save", lambda trainer: trainer.step == 6):
        toy(tmp_path, "tensorboard")

    run = toy(tmp_path, "tensorboard")

    written = Counter(scalars_in_files(run))
    assert len(run.metrics) == 9
    assert {step for name, step in written if name == "training/loss"} == set(range(1, 10))
    assert {step for name, step in written if name == "validation/loss"} == {3, 6, 9}
    assert set(written.values()) == {1}
    assert len(list((run.folder / FOLDER).iterdir())) == 3


def test_a_logger_is_told_of_its_id_again_and_how_the_run_ended(toy: Train, notebook: Notebook, tmp_path: Path) -> None:
    with cut_at(Run, "add_validation", lambda run, row: row[0] == 1):
        toy(tmp_path, "tensorboard")
    run = toy(tmp_path, "tensorboard")

    assert notebook.known == [None, f"id of {run.folder.name}"]
    assert notebook.ended == [False, True]


def test_a_part_without_a_logger_does_not_forget_what_it_was_told(
    toy: Train, notebook: Notebook, tmp_path: Path
) -> None:
    """Updates 1 to 6 are told, then 4 made again without the logger, then 5 to 9 with it."""
    with cut_at(Run, "add_validation", lambda run, row: row[0] == 2):
        toy(tmp_path, "tensorboard")
    with cut_at(Run, "add_metrics", lambda run, rows: rows[0][0] == 5):
        toy(tmp_path)
    toy(tmp_path, "tensorboard")

    assert [step for step, values in notebook.rows if "training/loss" in values] == list(range(1, 10))


def test_only_the_first_process_tells(
    stores: dict[str, Store], recipe: Recipe, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> Log:
        raise ValueError("a second process has opened loggers")

    monkeypatch.setattr("alexrepro.training.state.open_log", never)
    second = ProcessGroup(rank=Rank(rank=1))

    with pytest.raises(AssertionError):  # it is alone, and gets the mean image from nobody
        start(
            TrainingJob(
                recipe, store=stores["train"], validation=None, runs=Path("runs"), seed=0, device=device, group=second,
                log=("tensorboard",),
            )
        )  # fmt: skip


def test_nothing_is_written_unless_asked(toy: Train, tmp_path: Path) -> None:
    run = toy(tmp_path)

    assert not (run.folder / FOLDER).exists()
    assert not (run.folder / "loggers.json").exists()


def broken_at(moment: str) -> Notebook:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("the network is down\nand more lines")

    notebook = Notebook()
    setattr(notebook, moment, fail)
    return notebook


@pytest.mark.parametrize("moment", ["begin", "scalars", "end"])
def test_a_logger_that_fails_is_named_once_and_ends_nothing(
    moment: str, toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(loggers.TRACKERS, "tensorboard", lambda: broken_at(moment))

    run = toy(tmp_path, "tensorboard")

    said = capsys.readouterr().err
    assert said.count("--log tensorboard is left out from now on: the network is down. metrics.csv has") == 1
    assert "more lines" not in said
    assert run.result is not None
    assert len(run.metrics) == 9


class Slow(Notebook):
    """A tracker that does not come back from a call for half a second."""

    def __init__(self, moment: str) -> None:
        super().__init__()
        self.moment = moment

    def begin(self, run: Run, known: str | None) -> str:
        time.sleep(0.5 if self.moment == "begin" else 0)
        return "id"

    def scalars(self, rows: Rows) -> None:
        time.sleep(0.5 if self.moment == "scalars" else 0)

    def end(self, *, is_complete: bool) -> None:
        time.sleep(0.5 if self.moment == "end" else 0)


@pytest.mark.parametrize("moment", ["begin", "scalars", "end"])
def test_a_logger_that_hangs_holds_nothing_up(
    moment: str, toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    why = {
        "begin": "it has not begun within 0.1 seconds",
        "scalars": "it does not keep up",
        "end": "it has not ended within 0.1 seconds",
    }[moment]
    monkeypatch.setitem(loggers.TRACKERS, "tensorboard", lambda: Slow(moment))
    monkeypatch.setattr(loggers, "BEGIN_SECONDS", 0.1)
    monkeypatch.setattr(loggers, "END_SECONDS", 0.1)
    monkeypatch.setattr(loggers, "MOST_WAITING", 2)

    run = toy(tmp_path, "tensorboard")

    assert capsys.readouterr().err.count(f"--log tensorboard is left out from now on: {why}.") == 1
    assert run.result is not None


def test_a_logger_without_its_package_is_refused_before_anything_begins(
    toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wandb").mkdir()  # what W&B leaves where it was used is no package
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path)])

    with pytest.raises(UserError, match="--log wandb needs a package") as refused:
        check_loggers(["wandb"])

    assert refused.value.fix == 'Install it with: pip install "alexrepro[wandb]".'
    assert refused.value.exit_code is Exit.MISSING_INPUT


def test_a_logger_that_there_is_not_is_refused() -> None:
    with pytest.raises(UserError, match="no logger aim") as refused:
        check_loggers(["aim"])
    assert refused.value.exit_code is Exit.USAGE


def test_no_logger_is_loaded_with_the_program() -> None:
    """Only functions import them, and those are called for a run that was asked to tell them."""
    loaded = [
        name
        for module in (loggers, trackers)
        for node in ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (getattr(node, "module", None) or "", *(alias.name for alias in node.names))
        if name.split(".")[0] in {*loggers.TRACKERS, "torch"}
    ]

    assert loaded == []


@pytest.fixture
def begun(toy: Train, tmp_path: Path) -> Run:
    """A run of which nobody was told."""
    return toy(tmp_path / "runs")


def resumed(run: Run, name: str) -> Iterator[str]:
    """Tell a logger of two updates in two parts; the id under which it knows the run, each time."""
    for rows in ([run.metrics[0]], [run.metrics[1]]):
        with open_log(run, [name]) as log:
            log.updates([list(row.values()) for row in rows])
        yield read_json(run.folder / "loggers.json")[name]["id"]


@pytest.mark.filterwarnings("ignore")  # of the package about its own libraries
def test_wandb_goes_on_under_the_same_id(begun: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="the extra alexrepro[wandb] is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")

    first, second = resumed(begun, "wandb")

    assert first == second
    assert len(list((begun.folder / "wandb").glob(f"offline-run-*-{first}"))) >= 1


@pytest.mark.filterwarnings("ignore")  # of the package about its own libraries
def test_mlflow_goes_on_under_the_same_id(begun: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="the extra alexrepro[mlflow] is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")

    first, second = resumed(begun, "mlflow")

    assert first == second
    client = mlflow.MlflowClient()
    assert client.get_run(first).data.params["network.conv1.maps"] == "8"
    assert [metric.step for metric in client.get_metric_history(first, "training/loss")] == [1]


def test_without_loggers_a_log_does_nothing() -> None:
    with Log() as log:
        log.updates([])
        log.validation(1, ())
