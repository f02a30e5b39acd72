"""Sweeps of more configurations than a page or a screen has room for."""

import re
from copy import deepcopy

import numpy as np
import pytest
import yaml
from helpers.commands import command
from helpers.sweeps import metrics, verdict, write_sweep
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hiexp.comparison.html import write_page
from hiexp.comparison.runs import Comparison, Run, read_sweep
from hiexp.comparison.text import report_text
from hiexp.nested import leaves
from hiexp.printable import printable
from hiexp.run.reading import read_flat_config, read_job_settings
from hiexp.sweep.report import judged, write_report

MANY = 2000
LINES = 60


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A picture that no compression makes small."""
    file = tmp_path_factory.mktemp("picture") / "classes.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (500, 800, 3), dtype=np.uint8)).save(file)
    return file


def runs_of(n, picture=None, **others):
    """A ranked comparison of n runs, each with numbers of its own."""
    settings = ({"model": f"m{job % 7}", "epochs": str(job), "random_state": str(job % 3)} for job in range(n))
    commands = (f"python -m hiexp.train model=m{job % 7} epochs={job} random_state={job % 3}" for job in range(n))
    scores = (metrics(0) | {"success_rate": 0.9 - job / (3 * n)} for job in range(n))
    runs = [
        Run(str(job), own, numbers, typed, "done", "", f"runs/{job}", lambda name: picture)
        for job, (own, typed, numbers) in enumerate(zip(settings, commands, scores, strict=True))
    ]
    return Comparison("a_sweep", "python -m hiexp.train -m ...", tuple(runs), **others).ranked()


def rows_of(page):
    return re.findall(r'<tr class="run">\s*<th scope="row" data-value="(\d+)">', page)


def test_a_page_of_thousands_has_the_best_and_names_the_table_of_the_rest(tmp_path, noise):
    comparison = runs_of(MANY, noise, table="runs/day/a_sweep/ranking.csv")
    text = write_page(comparison, tmp_path / "page.html").read_text()
    assert len(text.encode()) < 3e6
    assert rows_of(text) == [str(job) for job in range(300)]
    assert (
        "These are the best 300 of 2000 runs. The other 1700 are in <code>runs/day/a_sweep/ranking.csv</code>" in text
    )
    assert f"<h1>{MANY} runs by success rate</h1>" in text
    assert "data:image/png" in text
    doubled = write_page(runs_of(2 * MANY, noise), tmp_path / "page.html").read_text()
    assert len(doubled) < 1.1 * len(text)
    assert "The other 3700 are in the table that <code>hiexp.compare --csv FILE</code> writes" in doubled


def test_who_asks_for_more_rows_gets_them(tmp_path):
    comparison = runs_of(450)
    assert len(rows_of(write_page(comparison, tmp_path / "page.html", 450).read_text())) == 450
    assert len(rows_of(write_page(comparison.best(20), tmp_path / "page.html").read_text())) == 20
    assert len(re.findall(r"^ +\d+  0\.\d+ \[", report_text(comparison, 450), re.MULTILINE)) == 450


@pytest.mark.parametrize("n", [61, 100, MANY])
@pytest.mark.parametrize("n_failed", [0, 1, 500])
def test_a_screen_holds_the_end_of_a_large_sweep(n, n_failed):
    judged_runs = verdict([str(job) for job in range(n)])
    comparison = runs_of(n, table="ranking.csv", verdict=judged_runs)
    failed = [Run(f"f{job}", {}, {}, "", "failed", "no spectra", "", lambda name: None) for job in range(n_failed)]
    comparison = Comparison(**vars(comparison) | {"runs": (*comparison.runs, *failed)})
    lines = report_text(comparison).splitlines()
    assert len(lines) <= LINES - 7  # which a command adds
    shown = [line for line in lines if re.match(r" +≈?\d+  0\.", line)]
    assert len(shown) >= 10
    assert f"... and {n - len(shown)} more: --top {n} or ranking.csv" in lines
    assert sum(line.startswith("FAILED") for line in lines) == min(n_failed, 12)
    assert ("... and 488 more, each with its error.txt in its folder" in lines) == (n_failed == 500)


def test_all_of_60_runs_are_shown():
    lines = report_text(runs_of(60)).splitlines()
    assert sum(bool(re.match(r" +\d+  0\.", line)) for line in lines) == 60
    assert not any(line.startswith("... and") for line in lines)


@pytest.mark.slow
def test_the_end_of_a_sweep_and_the_command_say_where_the_rest_is(tmp_path):
    grid = {"model": ["simple", "medium"], "epochs": [50, 80], "random_state": [*range(20)]}
    counts = {job: {"n_train": 4, "n_test": 8, "n_training": 4} for job in range(80)}
    folder = write_sweep(tmp_path / "runs" / "2026-11-22" / "12-00-00_sweep", grid, counts)
    comparison = judged(read_sweep(folder).ranked(), folder, seed=0, n_draws=50, paired=None)
    said = [*report_text(comparison).splitlines(), *write_report(comparison, folder)]
    assert len(said) <= LINES
    assert any(re.search(r"and \d+ more: --top 80 or .*12-00-00_sweep/ranking\.csv$", line) for line in said)
    assert (folder / "ranking.csv").read_text().count("\n") == 81

    screen = command("hiexp.compare", cwd=tmp_path).stdout
    assert len(screen.splitlines()) <= LINES
    assert "more: --top 80 or runs/2026-11-22/12-00-00_sweep/ranking.csv" in screen
    screen = command("hiexp.compare", "--top", "70", "--csv", "all.csv", "--html", "page.html", cwd=tmp_path).stdout
    assert len(re.findall(r"^ +≈?\d+  0\.\d+ \[", screen, re.MULTILINE)) == 70
    assert len(rows_of((tmp_path / "page.html").read_text())) == 70


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=90)
KEYS = st.one_of(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), WORDS)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), WORDS, st.text(max_size=40))
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("settings") / "config.yaml"


@settings(max_examples=150)
@given(tree=st.dictionaries(KEYS, TREES, min_size=1, max_size=5), flow=st.sampled_from([None, False]))
def test_settings_read_part_by_part_are_those_of_the_whole(file, tree, flow):
    file.write_text(yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True))
    expected = {printable(key): printable(str(value)) for key, value in leaves(yaml.safe_load(file.read_text()))}
    assert read_flat_config(file) == expected


@settings(max_examples=100)
@given(words=st.lists(WORDS, max_size=4), more=st.dictionaries(KEYS, TREES, max_size=4))
def test_what_is_needed_of_hydra_does_not_depend_on_the_rest(file, words, more):
    needed = {
        "job": {"name": "train"},
        "overrides": {"task": words, "hydra": ["hydra.mode=MULTIRUN"]},
        "runtime": {"choices": {"model": "simple", "asymmetry": None}},
    }
    content = {
        key: {"env": deepcopy(more), **value, "help": "a\n\nb: c\n  job: d\n"} for key, value in needed.items()
    }
    file.write_text(yaml.safe_dump({"hydra": more | content | {"help": {"template": "runs:\n\n  job: x\n"}}}))
    found = read_job_settings(file)
    assert found["job"]["name"] == "train"
    assert found["overrides"]["task"] == [printable(word) for word in words]
    assert found["runtime"]["choices"] == needed["runtime"]["choices"]


def test_the_page_says_how_many_runs_have_failed(tmp_path):
    failed = [Run(f"f{job}", {}, {}, "", "failed", "no spectra", "", lambda name: None) for job in range(MANY)]
    comparison = Comparison("a_sweep", "", (*runs_of(5).runs, *failed)).ranked()
    text = write_page(comparison, tmp_path / "page.html").read_text()
    assert text.count("no spectra") == 300
    assert "And 1700 more, each with its error.txt in its folder." in text
