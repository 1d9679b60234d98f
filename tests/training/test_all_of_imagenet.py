"""The chain of pre-training on all of ImageNet, which comes as one tar of 21,843 class tars (§7)."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from alexrepro.data.store.prepare import prepare
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import UserError
from alexrepro.recipes.catalog import find_recipe
from alexrepro.runs.paths import newest_checkpoints, step_of
from alexrepro.runs.run import Run
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train

from ..data.layouts import tar_of
from ..toy import before_steps

CLASSES = 21_843
WIDTHS = {"conv1": 8, "conv2": 16, "conv3": 24, "conv4": 24, "conv5": 16, "conv6": 16, "fc6": 32, "fc7": 32, "fc8a": 32}


def write_class_tars(folder: Path, classes: int, *, each: int = 1) -> Path:
    """A tar of class tars as `fall11_whole.tar`; the folder."""
    image = simplejpeg.encode_jpeg(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    wnids = [f"n{label:08d}" for label in range(1, classes + 1)]
    inner = {wnid: tar_of((f"{wnid}_{number}.JPEG", image) for number in range(each)) for wnid in wnids}
    folder.mkdir()
    (folder / "fall11_whole.tar").write_bytes(tar_of((f"{wnid}.tar", data) for wnid, data in inner.items()))
    return folder


@pytest.mark.long
def test_the_chain_of_pre_training_starts_on_21843_classes(
    tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun(name: str, store: Store, source: Run | None) -> Run:
        """The run of a narrow form of a recipe, stopped before its third step."""
        named = find_recipe(name)
        stages = {stage.name for stage in named.network.stages}
        widths = {f"network.{stage}.maps": maps for stage, maps in WIDTHS.items() if stage in stages}
        recipe = named.but({**widths, "training.batch": 4})
        job = TrainingJob(
            recipe, store=store, validation=None, runs=tmp_path / "runs", seed=0, device=device, source=source
        )
        with monkeypatch.context() as patch:
            before_steps(patch, {2}, lambda: os.kill(os.getpid(), signal.SIGTERM))
            with pytest.raises(UserError, match="Stopped by SIGTERM"):
                train(job)
        return job.fitted().run

    few = prepare(write_class_tars(tmp_path / "few", 3, each=8), out=tmp_path / "stores", workers=1)["train"]
    fall = prepare(write_class_tars(tmp_path / "fall", CLASSES), out=tmp_path / "stores", workers=2)["train"]

    run: Run | None = None
    for name, store in (
        ("as-run-2012", few), ("net-146-2009", fall), ("net-146-2011", fall), ("net-146-2012-2011", few)
    ):  # fmt: skip
        run = begun(name, store, run)
        assert step_of(newest_checkpoints(run.checkpoints)[0]) >= 2
    assert len(fall.manifest.classes) == len(fall) == CLASSES
