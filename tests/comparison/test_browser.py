"""What people look at, in a real browser: the page of a comparison, and the MLflow UI over a sweep of 54 runs."""

import json
import os
import socket
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from helpers.chromium import CHROMIUM, PHONE
from helpers.sweeps import GRID, HEAD, metrics, verdict, write_sweep

from hiexp.comparison.html import write_page
from hiexp.comparison.mlflow_runs import Store
from hiexp.comparison.runs import read_sweep
from hiexp.tracking.mlflow_store import PARENT_TAG, MlflowTracking, Record
from hiexp.tracking.names import grouped

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """The study's grid on disk, judged, one job failed."""
    folder = write_sweep(tmp_path_factory.mktemp("runs") / "2026-11-22" / "12-00-00_sweep", GRID)
    (folder / "sweep.json").write_text(json.dumps(verdict([str(number) for number in range(54)])))
    return folder


@pytest.fixture(scope="module")
def report(sweep, tmp_path_factory):
    return write_page(read_sweep(sweep).ranked(), tmp_path_factory.mktemp("page") / "report.html").as_uri()


def column(page, number):
    """Return what the ranking shows in a column, top-down."""
    return page.locator("table.runs tr.run").evaluate_all(f"rows => rows.map(row => row.cells[{number}].innerText)")


@pytest.mark.slow
def test_a_click_on_a_heading_sorts(page, report):
    page.goto(report)
    heading = page.locator("table.runs thead").get_by_text("test_size", exact=True)
    titles = page.locator("table.runs thead th").all_inner_texts()
    place = titles.index("test_size")
    ranked = column(page, 0)
    assert [name.split()[0] for name in ranked] == [str(number) for number in range(54)]
    heading.click()
    assert column(page, place) == ["0.3"] * 18 + ["0.5"] * 18 + ["0.7"] * 18
    heading.click()
    assert column(page, place) == ["0.7"] * 18 + ["0.5"] * 18 + ["0.3"] * 18
    epochs = page.locator("table.runs thead").get_by_text("epochs", exact=True)
    epochs.focus()
    page.keyboard.press("Enter")
    assert column(page, titles.index("epochs")) == ["50"] * 18 + ["80"] * 18 + ["120"] * 18  # as numbers
    page.locator("table.runs thead").get_by_text("run", exact=True).click()
    assert column(page, 0) == ranked
    # What belongs to a run goes with it.
    matches = "body => body.querySelector('tr.run a').hash === '#' + body.querySelector('details').id"
    assert page.locator("table.runs > tbody").evaluate_all(f"bodies => bodies.every({matches})")
    assert page.wrong == []


@pytest.mark.slow
def test_a_click_on_a_row_opens_it(page, report):
    page.goto(report)
    row = page.locator("table.runs tr.run").nth(7)
    details = page.locator("#run-7")
    assert not details.locator("code").first.is_visible()
    row.click()
    command = details.locator("code").first
    assert command.is_visible()
    assert command.inner_text() == f"{HEAD} model=simple test_size=0.5 random_state=42 epochs=80"
    picture = details.locator("img").first
    assert picture.is_visible()
    assert picture.evaluate("image => image.naturalWidth") == 60
    assert details.locator("table.matrix").is_visible()
    row.click()
    assert not command.is_visible()
    # The figure leads to the run.
    page.locator("svg a[href='#run-12'] circle").first.click()
    assert page.locator("#run-12 code").first.is_visible()
    assert page.wrong == []


def test_the_page_fits_a_phone(page, report):
    page.set_viewport_size(PHONE)
    page.goto(report)
    page.locator("table.runs tr.run").nth(3).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator("#run-3 img").bounding_box()["width"] <= PHONE["width"]
    scrolls = page.locator("div.wide:has(table.runs)").evaluate("box => box.scrollWidth > box.clientWidth")
    assert scrolls  # inside its box


def test_on_paper_there_are_no_controls_and_nothing_is_cut_off(page, report):
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 less its margins, in CSS pixels
    page.emulate_media(media="print")
    page.goto(report)
    assert not page.locator(".copy").first.is_visible()
    assert page.locator("#run-0 table.matrix").is_visible()  # the best is open
    assert not page.locator("#run-1").is_visible()
    assert page.locator("table.runs").bounding_box()["width"] <= 718
    assert page.locator("svg").first.bounding_box()["width"] <= 718
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_without_javascript_everything_is_there(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report)
    assert page.locator("table.runs tr.run").count() == 54
    page.locator("#run-5 summary").click()
    assert page.locator("#run-5 table.matrix").is_visible()
    context.close()


@pytest.fixture(scope="module")
def ui(sweep, tmp_path_factory):
    """The address of the MLflow UI over the sweep, recorded as jobs record themselves."""
    root = tmp_path_factory.mktemp("store")
    tracking = MlflowTracking(f"sqlite:///{root}/mlflow.db", str(root / "artifacts"), "cnn54")
    parent = Record("the sweep", tags={"kind": "sweep", "folder": str(sweep)})
    tracking.prepare()
    tracking.begin(parent)
    for run in read_sweep(sweep).runs:
        tags = {"job": run.name, PARENT_TAG: parent.run_id, "command": run.command}
        with tracking.run(f"job {run.name}", run.settings, tags, sweep / run.name) as record:
            record.metrics |= run.metrics
    parent.status = "FINISHED"
    tracking.end(parent, sweep)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "mlflow",
            "ui",
            "--backend-store-uri",
            tracking.uri,
            "--port",
            str(port),
            "--workers",
            "1",
        ],
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urlopen(f"{address}/health").close()
            break
        except (URLError, ConnectionError):
            time.sleep(0.2)
    yield address
    os.killpg(server.pid, 15)
    server.wait(30)


@pytest.mark.slow
def test_the_mlflow_ui_has_all_of_the_sweep(page, ui):
    """A sweep is a row; opened, its jobs are below it, with their metrics, and a job's picture can be looked at."""
    page.set_default_timeout(90_000)
    page.set_viewport_size({"width": 1900, "height": 2600})  # the table draws the rows that there is room for
    page.goto(f"{ui}/#/experiments/1/runs")
    page.get_by_text("55 matching runs").wait_for()
    page.get_by_role("button", name="Columns", exact=True).click()
    for metric in ("success_rate", "chance95_success_rate"):
        page.get_by_text(grouped(metric), exact=True).first.click()
    page.keyboard.press("Escape")
    page.locator("[role=row]").filter(has_text="the sweep").locator("button").first.click()
    page.get_by_role("link", name="job 53", exact=True).wait_for()
    page.get_by_role("link", name="job 0", exact=True).wait_for()
    names = page.locator("[role=row] a").all_inner_texts()
    assert sorted(names) == sorted(["the sweep", *(f"job {number}" for number in range(54))])
    for metric in ("success_rate", "chance95_success_rate"):
        cells = page.locator(f"[role=gridcell][col-id='metrics.`{grouped(metric)}`']").all_inner_texts()
        found = sorted(float(cell) for cell in cells if cell.strip() not in ("", "-"))
        assert found == pytest.approx(sorted(metrics(number)[metric] for number in range(54)), abs=2e-3)

    page.get_by_role("link", name="job 7", exact=True).click()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("plots", exact=True).first.click()
    page.get_by_text("classes.png").first.click()
    page.wait_for_function(
        "[...document.images].some(image => image.src.startsWith('blob:') && image.naturalWidth === 60)"
    )


@pytest.mark.slow
def test_the_runs_of_a_server_are_compared(ui):
    found = Store(ui).experiment("cnn54").ranked("success_rate")
    assert found.axes == ["model", "test_size", "random_state", "epochs"]
    assert [run.metrics["success_rate"] for run in found.done] == [
        metrics(number)["success_rate"] for number in range(54)
    ]
    assert found.runs[0].file("plots/classes.png").read_bytes().startswith(b"\x89PNG")
