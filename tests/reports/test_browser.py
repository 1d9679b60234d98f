"""The page in a browser, on a wide screen and on a phone."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest

from alexrepro.paper.results import TEST_2010
from alexrepro.recipes.as_printed_and_run import AS_RUN_2010, TINY
from alexrepro.recipes.recipe import Recipe
from alexrepro.reports.experiment import experiments, render
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.page import FILE, page
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.run import Run

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
WIDTHS = (1280, 390)
# Added to the page: a message with what its reader sees.
SEEN = """<script>addEventListener("load", () => parent.postMessage({
  width: innerWidth, text: document.body.innerText,
  hidden: document.documentElement.scrollWidth - document.documentElement.clientWidth,
}, "*"))</script>"""
FRAME = """<iframe src="index.html" style="width: {}px; height: 2000px"></iframe>"""
PARENT = """<title></title>{}<script>const seen = []; onmessage = message => {{
  seen.push(message.data); document.title = JSON.stringify(seen); }}</script>"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason=f"no browser to open the page with: none of {', '.join(NAMES)}"),
]


def test_the_page_fits_the_window_and_logs_nothing(
    make_run: Callable[..., Run], evaluation: Callable[..., Evaluation], tmp_path: Path
) -> None:
    runs = (
        make_run(TINY, losses=(3.0, 2.0, 1.0), errors=(0.9,), is_complete=True),
        make_run(Recipe(name="x<script>alert(1)</script>", description="x").but({"training.epochs": 1}), losses=(1.0,)),
    )
    evidence = Evidence(runs=runs, evaluations=(evaluation(AS_RUN_2010, split=TEST_2010, images=150_000),))
    html = page(
        [render(one, evidence) for one in experiments().values()], evidence, made_at=datetime(2026, 1, 2, tzinfo=UTC)
    )
    html = html.replace("default-src 'none';", "")  # so that the script may run
    (tmp_path / FILE).write_text(html.replace("</body>", f"{SEEN}</body>"), encoding="utf-8")
    file = tmp_path / "parent.html"
    file.write_text(PARENT.format("".join(FRAME.format(width) for width in WIDTHS)), encoding="utf-8")
    assert BROWSER is not None

    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--virtual-time-budget=10000", "--enable-logging=stderr", "--dump-dom", file.as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip

    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None
    seen = sorted(json.loads(unescape(title[1])), key=lambda one: -one["width"])
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    assert [(one["width"], one["hidden"]) for one in seen] == [(width, 0) for width in WIDTHS]  # no pixel outside
    assert all("x<script>alert(1)</script>" in one["text"] for one in seen)
