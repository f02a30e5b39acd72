"""One ranking rule for the end of a sweep, the command, the page, CSV and LaTeX."""

import csv
import io
import math
import re

import pandas as pd
from helpers.sweeps import write_sweep
from hypothesis import given, settings
from hypothesis import strategies as st

from hiexp.comparison.runs import Comparison, Run, read_sweep
from hiexp.comparison.text import csv_table, latex_table, report_text, screen_table
from hiexp.comparison.verdict import with_verdict
from hiexp.evaluation.metrics import METRICS
from hiexp.sweep.report import judged, write_report

SMALL = {"model": ["simple", "medium"], "epochs": [50, 80]}
COUNTS = {"n_train": 4, "n_test": 8, "n_training": 4}


def names(comparison):
    return [run.name for run in comparison.runs]


def comparison_of(metrics):
    runs = [Run(str(place), {}, row, "", "done", "", "", lambda _: None) for place, row in enumerate(metrics)]
    return Comparison("sweep", "", tuple(runs))


def test_the_lowest_loss_is_the_best_and_one_class_alone_comes_last(tmp_path):
    scores = {0: {"n_predicted_classes": 1}, 1: {"log_loss": 0.01}, 3: {"p_accuracy": 1e-4}}
    found = read_sweep(write_sweep(tmp_path / "a_sweep", SMALL, scores))
    assert names(found.ranked()) == ["1", "2", "3", "0"]
    assert names(found.ranked("accuracy")) == ["0", "1", "2", "3"]
    assert names(found.ranked("log_loss")) == ["1", "0", "2", "3"]
    assert names(found.ranked("p_accuracy")) == ["3", "0", "1", "2"]
    assert names(found.ranked("train_seconds")) == ["0", "1", "2", "3"]


def test_what_is_missing_or_no_number_comes_last_and_shows_as_nothing(tmp_path):
    scores = {0: {"balanced_accuracy": math.nan}, 2: {"balanced_accuracy": 0.9}}
    found = read_sweep(write_sweep(tmp_path / "a_sweep", SMALL, scores))
    (tmp_path / "a_sweep" / "1" / "metrics.json").write_text('{"cluster_n_groups": 0}')
    found = read_sweep(tmp_path / "a_sweep").ranked("balanced_accuracy")
    assert names(found)[:2] == ["2", "3"]
    assert set(names(found)[2:]) == {"0", "1"}
    rows = {row["run"]: row for row in csv.DictReader(io.StringIO(csv_table(found)))}
    assert list(rows) == names(found)
    assert rows["0"]["balanced_accuracy"] == rows["1"]["balanced_accuracy"] == rows["1"]["success_rate"] == ""
    assert float(rows["2"]["balanced_accuracy"]) == 0.9
    assert float(rows["3"]["success_rate"]) == found.runs[1].metrics["success_rate"]
    assert "nan" not in screen_table(found, 120, 60) + latex_table(found)


@settings(max_examples=50)
@given(
    st.sampled_from(sorted(METRICS)),
    st.lists(st.one_of(st.floats(allow_infinity=True), st.none()), min_size=1, max_size=12),
)
def test_any_values_are_ranked_by_the_direction_of_their_metric(name, values):
    rows = [{} if value is None else {name: value, "n_predicted_classes": 3} for value in values]
    if not any(rows):
        return
    ranked = comparison_of(rows).ranked(name).runs
    found = [run.number(name) for run in ranked]
    known = [value for value in found if not math.isnan(value)]
    assert found[: len(known)] == sorted(known, reverse=METRICS[name].greater_is_better)
    assert sorted(run.name for run in ranked) == sorted(str(place) for place in range(len(values)))


def test_runs_of_equal_score_stay_in_the_order_of_their_start():
    assert names(comparison_of([{"accuracy": 0.5}] * 12).ranked("accuracy")) == [str(place) for place in range(12)]


def test_the_best_stands_first_everywhere(tmp_path):
    """Job 2 is the best, by its score and by its predictions; whoever shows it shows the same number."""
    scores = {job: dict(COUNTS) for job in range(4)}
    scores[2] |= {"success_rate": 0.875, "low_success_rate": 0.7, "high_success_rate": 0.95}
    folder = write_sweep(tmp_path / "runs" / "day" / "a_sweep", SMALL, scores)
    comparison = judged(read_sweep(folder).ranked(), folder, seed=0, paired=None)
    write_report(comparison, folder)
    assert comparison.runs[0].name == "2"
    first = re.findall(r"^ +≈?(\d) +0\.875 \[0\.700, 0\.950\]", report_text(comparison), re.MULTILINE)
    assert first == ["2"]
    assert pd.read_csv(folder / "ranking.csv")["run"][0] == 2
    rows = latex_table(comparison).partition("\\midrule")[2].splitlines()
    assert rows[1].startswith("medium & 50 & $0.875_")
    page = (folder / "sweep.html").read_text()
    assert page.index('id="run-2"') < min(page.index(f'id="run-{job}"') for job in "013")
    assert read_sweep(folder).ranked().judged() == comparison.judged()


def test_the_verdict_is_of_the_measure_that_ranks(tmp_path):
    folder = write_sweep(tmp_path, SMALL, {job: dict(COUNTS) for job in range(4)})
    by_accuracy = with_verdict(read_sweep(folder).ranked("balanced_accuracy"), folder, seed=0)
    assert by_accuracy.judged()["measure"] == "balanced_accuracy"
    assert read_sweep(folder).ranked("success_rate").judged() is None
    by_loss = read_sweep(folder).ranked("log_loss")
    assert with_verdict(by_loss, folder, seed=0) is by_loss  # a loss is no function of a confusion table
