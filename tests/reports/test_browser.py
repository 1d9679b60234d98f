"""The page in a browser, on a wide screen and on a phone."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from alexrepro.paper.results import TEST_2010
from alexrepro.recipes.as_printed_and_run import AS_RUN_2010, TINY
from alexrepro.recipes.recipe import Recipe
from alexrepro.reports.experiment import experiments
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.made import make
from alexrepro.reports.page import page, save_page
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.run import Run

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
WIDTHS = (1280, 390)
# Beside the page, so that it is not changed: a message of what its reader would see.
PROBE = """<script>addEventListener("load", () => parent.postMessage({
  width: innerWidth, text: document.body.innerText,
  hidden: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  changed: (document.getElementById("theme").click(), document.documentElement.dataset.theme),
}, "*"))</script>"""
FRAME = """<iframe src="index.html" style="width: {}px; height: 2000px"></iframe>"""
ASKS = """<title></title>{}<script>const told = []; onmessage = message => {{
  told.push(message.data); document.title = JSON.stringify(told); }}</script>"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason=f"no browser to open the page with: none of {', '.join(NAMES)}"),
]


@pytest.fixture(scope="module")
def seen(
    make_runs_in: Callable[[Path], Callable[..., Run]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[dict[str, Any]], list[str]]:
    """What the page told in frames of both widths, and the messages on the browser's console."""
    folder = tmp_path_factory.mktemp("browser")
    make_run = make_runs_in(folder)
    runs = (
        make_run(TINY, losses=(3.0, 2.0, 1.0), errors=(0.9,), is_complete=True),
        make_run(Recipe(name="x<script>alert(1)</script>", description="x").but({"training.epochs": 1}), losses=(1.0,)),
    )
    evaluation = Evaluation(
        run=str(runs[0].folder), recipe=AS_RUN_2010.name, digest=AS_RUN_2010.digest, seed=0, epochs=92,
        dataset="ilsvrc2010", split=TEST_2010, crops="ten", images=150_000, top1_correct=93_900, top5_correct=124_600,
        loss=1.6,
    )  # fmt: skip
    evidence = Evidence(runs=runs, evaluations=(evaluation,))
    reports = [make(one, evidence) for one in experiments().values()]
    save_page(folder, page(reports, evidence, made_at=datetime(2026, 1, 2, tzinfo=UTC)).replace("</body>", PROBE))
    (folder / "asks.html").write_text(ASKS.format("".join(FRAME.format(width) for width in WIDTHS)), encoding="utf-8")
    return _opened(folder / "asks.html")


def _opened(file: Path) -> tuple[list[dict[str, Any]], list[str]]:
    assert BROWSER is not None
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={file.parent / 'profile'}",
         "--virtual-time-budget=10000", "--enable-logging=stderr", "--dump-dom", file.as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None
    told = sorted(json.loads(unescape(title[1])), key=lambda one: -one["width"])
    return told, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_the_page_opens_without_a_message_on_the_console(seen: tuple[list[dict[str, Any]], list[str]]) -> None:
    told, messages = seen

    assert messages == []
    assert [one["width"] for one in told] == list(WIDTHS)


def test_nothing_on_the_page_is_wider_than_the_window(seen: tuple[list[dict[str, Any]], list[str]]) -> None:
    assert [one["hidden"] for one in seen[0]] == [0, 0]  # pixels to the right


def test_a_reader_sees_a_name_that_looks_like_a_script(seen: tuple[list[dict[str, Any]], list[str]]) -> None:
    assert all("x<script>alert(1)</script>" in one["text"] for one in seen[0])


def test_the_button_changes_light_to_dark(seen: tuple[list[dict[str, Any]], list[str]]) -> None:
    assert [one["changed"] for one in seen[0]] == ["dark", "dark"]
