"""One ranking rule for the end of a sweep, the command, the page, CSV and LaTeX."""

import csv
import io
import json
import math
import re

import pandas as pd
import pytest
from helpers.sweeps import verdict, write_sweep
from hypothesis import given, settings
from hypothesis import strategies as st

from hiexp.comparison.html import write_page
from hiexp.comparison.runs import Comparison, Run, read_sweep
from hiexp.comparison.text import csv_table, latex_table, report_text, screen_table, verdict_text
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
    comparison = judged(read_sweep(folder).ranked(), folder, seed=0, n_draws=200, paired=None)
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


def test_a_verdict_is_not_told_of_runs_that_a_filter_has_left(tmp_path):
    folder = write_sweep(tmp_path, SMALL, {job: dict(COUNTS) for job in range(4)})
    (folder / "sweep.json").write_text(json.dumps(verdict(["0", "1", "2", "3"])))
    whole = read_sweep(folder)
    assert whole.where(["epochs>0"]).ranked().judged() is not None
    filtered = whole.where(["model=medium"]).ranked()
    assert filtered.judged() is None
    assert "≈" not in report_text(filtered)
    assert "The best of 4 configurations, run 0 (model=simple epochs=50), has" in " ".join(
        report_text(whole.ranked()).split()
    )
    assert "best of 4" in report_text(whole.ranked().best(1))


@pytest.mark.parametrize(
    ("n_others", "n_differ", "said"),
    [
        (0, 0, "Run 0 (model=simple) has a success rate of 0.700."),
        (1, 0, "The other one does not differ significantly from it."),
        (1, 1, "The other one differs significantly from it."),
        (3, 0, "None of the other 3 differs significantly from it."),
        (3, 2, "2 of the other 3 differ significantly from it."),
    ],
)
def test_the_verdict_counts_in_words(n_others, n_differ, said):
    jobs = [str(job) for job in range(n_others + 1)]
    known = verdict(jobs)
    for place, row in enumerate(known["configurations"]):
        row["indistinguishable_from_best"] = place <= n_others - n_differ
    runs = tuple(Run(job, {"model": "simple"}, {}, "", "done", "", "", lambda _: None) for job in jobs)
    text = verdict_text(Comparison("sweep", "", runs, known, "success_rate", ["model"]))
    assert said in text
    assert ("Corrected for selection bias" in text) == (n_others > 0)


def test_what_a_sweep_without_scores_is_ranked_by_is_what_it_has(tmp_path):
    rows = [{"n_good": 20, "n_failed": 0, "fit_seconds": 0.1}, {"n_good": 18, "n_failed": 2, "fit_seconds": 0.2}]
    comparison = comparison_of(rows).ranked()
    assert comparison.measure == "n_good"
    assert "success" not in report_text(comparison)
    assert "chance" not in latex_table(comparison)
    write_report(comparison, tmp_path)
    assert not (tmp_path / "sweep.png").exists()


def test_the_percentile_of_a_loss_is_named_as_such(tmp_path):
    row = {"log_loss": 0.5, "low_log_loss": 0.4, "high_log_loss": 0.6}
    row |= {"chance_log_loss": 1.7, "chance95_log_loss": 1.5}
    comparison = comparison_of([row]).ranked("log_loss")
    assert "mean (5th percentile)" in latex_table(comparison)
    page = write_page(comparison, tmp_path / "page.html").read_text()
    assert "5th percentile 1.500" in page
    assert "95th percentile" not in page
