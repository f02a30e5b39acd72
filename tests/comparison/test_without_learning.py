"""What yardsticks score, wherever a sweep is shown, and beside runs that were made before there were any."""

import csv
import io
import json

import pytest
from helpers.sweeps import verdict, write_sweep
from matplotlib.axes import Axes

from hiexp.comparison.controls import _configuration
from hiexp.comparison.html import write_page
from hiexp.comparison.png import draw_scores
from hiexp.comparison.runs import read_sweep
from hiexp.comparison.svg import draw_ranking
from hiexp.comparison.text import csv_table, latex_table, report_text, screen_table
from hiexp.evaluation.metrics import table_scores
from hiexp.sweep.report import verdict_metrics

GRID = {"model": ["simple", "medium"], "epochs": [50, 80]}
SETTINGS = "evaluation:\n  yardstick: {column: A_flux, limits: [1.26, 1.39]}\n"


def beside(name, score):
    """Return the metrics of a yardstick that a run has beside its own."""
    numbers = {}
    for key in table_scores():
        gain = f"{key}_minus_{name}"
        numbers |= {f"{name}_{key}": score, f"low_{name}_{key}": score - 0.1, f"high_{name}_{key}": score + 0.1}
        numbers |= {gain: 0.7 - score, f"low_{gain}": 0.6 - score, f"high_{gain}": 0.8 - score, f"p_{gain}": 0.25}
    return numbers


@pytest.fixture
def sweep(tmp_path):
    """Return a sweep whose jobs 0 and 2 are of today, and 1 and 3 of before."""
    new = {job: beside("yardstick", 0.754) | beside("learned_yardstick", 0.661) for job in (0, 2)}
    folder = write_sweep(tmp_path / "a_sweep", GRID, new)
    for job in new:
        config = folder / str(job) / "config.yaml"
        config.write_text(config.read_text() + SETTINGS)
    return folder


def test_the_screen_says_what_the_best_is_worth_beside_its_yardsticks(sweep):
    said = " ".join(report_text(read_sweep(sweep).ranked()).split())
    assert (
        "On the objects of run 0 A_flux divided at 1.26, 1.39, nothing learned, has 0.754 (the run minus that:"
        in said
    )
    assert "-0.054 [-0.154, +0.046], p = 0.250)" in said
    assert "a regression on asymmetries has 0.661" in said
    table = screen_table(read_sweep(sweep).ranked("balanced_accuracy"), 200, 60).splitlines()
    assert [line.split().count("0.754") for line in table[1:]] == [1, 0, 1, 0]


def test_runs_of_before_have_no_yardstick_and_are_compared_all_the_same(sweep):
    comparison = read_sweep(sweep).ranked()
    rows = {row["run"]: row for row in csv.DictReader(io.StringIO(csv_table(comparison)))}
    assert [rows[job]["yardstick_balanced_accuracy"] for job in "0123"] == ["0.754", "", "0.754", ""]
    assert "${0.754" not in latex_table(comparison)
    latex = latex_table(comparison.ranked("balanced_accuracy"))
    assert r"% without learning: A\_flux divided at 1.26, 1.39, on the same objects." in latex
    before = [line for line in latex.splitlines() if line.startswith("simple & 80")]
    assert before[0].count("--") == 2
    assert "nan" not in latex + report_text(comparison)


def test_a_sweep_of_before_says_nothing_of_yardsticks(tmp_path):
    comparison = read_sweep(write_sweep(tmp_path / "a_sweep", GRID)).ranked()
    write_page(comparison, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "nothing learned" not in page + report_text(comparison)
    assert 'class="yardstick"' not in page
    assert "without learning" not in latex_table(comparison)


def test_the_page_has_fact_line_and_table(sweep, tmp_path):
    comparison = read_sweep(sweep).ranked()
    assert draw_ranking(comparison).count('class="yardstick"') == 2
    write_page(comparison, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<dt>without learning</dt><dd>0.754<small>A_flux divided at 1.26, 1.39, the same objects</small>" in page
    assert page.count("<th>the same objects by</th>") == 2
    assert "key rule" in page


def test_the_figure_has_a_line(sweep, tmp_path, monkeypatch):
    lines = []
    draw = Axes.vlines
    monkeypatch.setattr(
        Axes, "vlines", lambda self, x, *ends, **style: lines.append(x) or draw(self, x, *ends, **style)
    )
    draw_scores(read_sweep(sweep).ranked(), tmp_path / "sweep.png")
    assert [*lines[0][[0, 2]]] == [0.754, 0.754]


def test_the_run_of_the_sweep_has_the_yardstick_of_its_best(sweep):
    comparison = read_sweep(sweep).ranked()
    assert "yardstick_success_rate" not in verdict_metrics(comparison)  # nobody has judged it
    (sweep / "sweep.json").write_text(json.dumps(verdict(["0", "1", "2", "3"])))
    numbers = verdict_metrics(read_sweep(sweep).ranked())
    assert numbers["yardstick_success_rate"] == 0.754
    assert numbers["success_rate_minus_yardstick"] == pytest.approx(-0.054)


def test_a_sweep_of_before_has_controls_of_today(sweep):
    runs = {run.name: run for run in read_sweep(sweep).runs}
    new = {key for key, _ in _configuration(runs["0"])}
    assert "evaluation.yardstick.column" in runs["0"].settings
    assert not any(key.startswith("evaluation.yardstick") for key in new)


def test_groups_of_width_are_named(tmp_path):
    of_width = {
        "cluster_tree": 0.9,
        "cluster_tree_w50": 0.85,
        "chance_cluster_tree": 0.3,
        "chance95_cluster_tree": 0.4,
    }
    scores = {0: of_width, 1: of_width | {"cluster_tree_w50": 0.5}, 2: of_width | {"chance95_cluster_tree": 0.95}}
    comparison = read_sweep(write_sweep(tmp_path / "a_sweep", GRID, scores)).ranked()
    sentence = "in run 0 (0.85 of 0.90)."
    assert sentence in " ".join(report_text(comparison).split())
    write_page(comparison, tmp_path / "page.html")
    assert sentence in (tmp_path / "page.html").read_text()
