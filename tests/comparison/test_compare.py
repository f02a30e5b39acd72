"""Runs side by side: on the screen, as CSV and in LaTeX, from their folders and from the store."""

import json
import re
import shutil

import pytest
from helpers.commands import command
from helpers.sweeps import GRID, HEAD, verdict, write_sweep
from mlflow import MlflowClient

from hiexp.comparison.mlflow_runs import Store
from hiexp.comparison.runs import Run, axes, read_sweep
from hiexp.comparison.text import latex_table, latex_text, screen_table
from hiexp.configs import CONFIGS, store_uri
from hiexp.errors import InputError
from hiexp.tracking.mlflow_store import PARENT_TAG, MlflowTracking, Record

SMALL = {"model": ["simple", "medium"], "epochs": [50, 80]}


@pytest.fixture
def sweep(tmp_path):
    return write_sweep(tmp_path / "runs" / "2026-11-22" / "12-00-00_sweep", SMALL)


def compare(*words, cwd):
    result = command("hiexp.compare", *words, cwd=cwd)
    return result.returncode, result.stdout, result.stderr


def names(comparison):
    return [run.name for run in comparison.runs]


def test_a_sweep_is_read_from_its_folder(sweep):
    found = read_sweep(sweep)
    assert names(found) == ["0", "1", "2", "3"]
    assert found.command == f"{HEAD} -m model=simple,medium epochs=50,80"
    assert found.runs[1].command == f"{HEAD} model=simple epochs=80"
    assert found.runs[1].settings["classifier.epochs"] == "80"
    assert found.runs[1].file("plots/classes.png") == sweep / "1" / "plots" / "classes.png"
    assert found.runs[1].file("plots/none.png") is None
    # model.depth follows from model, classifier.epochs from epochs, root is a place, classifier is the same.
    assert found.ranked().axes == ["model", "epochs"]


def run(command="", **settings):
    return Run(
        "0", {key.replace("__", "."): value for key, value in settings.items()}, {}, command, "done", "", "", None
    )


def test_axes_are_what_was_typed_and_differs():
    runs = [run(f"{HEAD} classifier=knn root=a", classifier="knn", classifier__k="1", root="a")]
    runs += [run(f"{HEAD} classifier=knn classifier.k=3 root=b", classifier="knn", classifier__k="3", root="b")]
    assert axes(runs) == ["classifier.k"]  # the first has the default, and root is no setting
    runs += [run(f"{HEAD} 'classifier=svm' hydra.mode=RUN", classifier="svm")]
    assert axes(runs) == ["classifier", "classifier.k"]
    assert axes([run(model="a", model__depth="1"), run(model="b", model__depth="2")]) == ["model"]
    assert axes(runs[:1]) == []


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        (["model=simple"], ["0", "1"]),
        (["model=simple,medium", "epochs!=50"], ["1", "3"]),
        (["epochs<80"], ["0", "2"]),
        (["success_rate>=0.695", "epochs>50"], ["1"]),
    ],
)
def test_filters(sweep, filters, left):
    assert names(read_sweep(sweep).where(filters)) == left


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modle=simple", "do you mean model"),
        ("model=simpel", "model is medium, simple"),
        ("success_rate>high", "'high' is not a number"),
        ("model", "a filter is key=value"),
    ],
)
def test_a_filter_that_cannot_be_says_what_can(sweep, text, said):
    with pytest.raises(InputError, match=re.escape(said)):
        read_sweep(sweep).where([text])


def test_latex_is_a_table_that_compiles(sweep):
    text = latex_table(read_sweep(sweep).ranked("success_rate"))
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert (lines[0], lines[-1]) == (r"\begin{tabular}{llcccccc}", r"\end{tabular}")
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]
    rows = lines[2:3] + lines[4:-2]
    assert [row.endswith((r" \\", r" \\[2pt]")) for row in rows] == [True] * 5
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == 7
        assert row.count("$") % 2 == 0
        assert row.count("{") == row.count("}")
        outside = re.sub(r"\$[^$]*\$", "", row)  # of mathematics
        assert not re.findall(r"(?<!\\)[_#%^~]", outside)
    assert r"$0.700_{-0.100}^{+0.080}$ & 0.350 (0.450) & 0.001" in rows[1]
    assert rows[1].startswith("simple & 50 & ")


def test_latex_text_is_escaped():
    assert latex_text(r"a_b & 50% #1 {x} ~ ^ \ <3 $") == (
        r"a\_b \& 50\% \#1 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \textless{}3 \$"
    )


@pytest.mark.parametrize("width", [60, 100, 120, 200])
def test_the_table_fits_the_screen_and_says_what_it_leaves_out(tmp_path, width):
    found = read_sweep(write_sweep(tmp_path / "a_sweep", {"a_long_name_of_a_setting": [1, 2]} | SMALL)).ranked()
    text = screen_table(found, width, 3)
    assert max(map(len, text.splitlines())) <= width
    assert "and 5 more: --top 8" in text
    for name in ("a_long_name_of_a_setting", "model", "epochs"):
        assert name in text  # as a column, or as what there is no room for


def test_the_command(sweep, tmp_path):
    shutil.rmtree(sweep / "3")
    failed = sweep / "2"
    (failed / "metrics.json").unlink()
    (failed / "error.txt").write_text("no spectra; give dataset.path=FOLDER\n\nTraceback ...")
    (sweep / "sweep.json").write_text(json.dumps(verdict(["0", "1"])))
    code, screen, _ = compare("--csv", "a.csv", "--latex", "a.tex", "--html", "a.html", cwd=tmp_path)
    assert code == 0
    lines = screen.splitlines()
    assert max(map(len, lines)) <= 120
    table = [line.split() for line in lines if re.match(r"\s+≈?\d ", line)]
    assert [row[:7] for row in table] == [
        ["≈0", "0.700", "[0.600,", "0.780]", "0.350", "0.450", "0.001"],
        ["≈1", "0.695", "[0.595,", "0.775]", "0.350", "0.450", "0.002"],
    ]
    said = " ".join(lines)
    assert "reaches 0.520 on average and 0.580 in 5 % of the draws: family-wise p = 0.031" in said
    assert "Corrected for selection bias: 0.620 [0.510, 0.710]" in said
    assert "FAILED  2  no spectra; give dataset.path=FOLDER" in said
    assert f"the best again:  {HEAD} model=simple epochs=50" in said
    assert (tmp_path / "a.csv").read_text().count("\n") == 4
    assert r"\toprule" in (tmp_path / "a.tex").read_text()
    assert "no spectra" in (tmp_path / "a.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no sweep in runs/ and no store in mlruns/"),
        (["--uri", "sqlite:///none.db"], "--uri sqlite:///none.db: no such store"),
        (["--uri", "http://127.0.0.1:9", "--experiment", "a"], "--uri http://127.0.0.1:9: cannot be read"),
        (["--top", "0"], "--top: '0': give a whole number from 1 up"),
        (["root=nowhere"], "root=nowhere: no such folder"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(tmp_path, words, said):
    code, _, error = compare(*words, cwd=tmp_path)
    assert code != 0
    assert said in error.splitlines()[-1]
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_a_metric_that_no_run_has(sweep):
    with pytest.raises(InputError, match="--sort acuracy: no run has that metric; there are accuracy"):
        read_sweep(sweep).ranked("acuracy")


@pytest.fixture(scope="module")
def tracked_run(tmp_path_factory):
    """The same sweep in a store, whose folder is gone, and a run that failed by itself."""
    root = tmp_path_factory.mktemp("recorded")
    sweep = write_sweep(root / "runs" / "2026-11-22" / "12-00-00_sweep", SMALL)
    tracking = MlflowTracking(f"sqlite:///{root}/mlruns/mlflow.db", str(root / "mlruns" / "artifacts"), "trial")
    parent = Record("all", tags={"kind": "sweep", "folder": str(sweep), "command": f"{HEAD} -m all"})
    tracking.prepare()
    tracking.begin(parent)
    for run in read_sweep(sweep).runs:
        tags = {"job": run.name, PARENT_TAG: parent.run_id, "folder": run.folder, "command": run.command}
        with tracking.run(f"run {run.name}", run.settings, tags, sweep / run.name) as record:
            record.metrics |= run.metrics
    with pytest.raises(RuntimeError), tracking.run("alone", {"model": "huge"}, {}, sweep):
        raise RuntimeError("no luck")
    (sweep / "sweep.json").write_text(json.dumps(verdict(["0", "1", "2", "3"])))
    tracking.end(parent, sweep)
    from_folder = read_sweep(sweep)
    shutil.rmtree(sweep)
    return root, tracking, from_folder


@pytest.mark.slow
def test_the_store_has_what_the_folder_had(tracked_run):
    _, tracking, before = tracked_run
    store = Store(tracking.uri)
    found = store.sweep(store.sweeps()[0])
    assert names(found) == names(before)
    assert (found.title, found.verdict) == (before.title, before.verdict)
    assert [(run.settings, run.metrics, run.command) for run in found.runs] == [
        (run.settings, run.metrics, run.command) for run in before.runs
    ]
    assert found.runs[0].file("plots/classes.png").read_bytes().startswith(b"\x89PNG")
    assert found.runs[0].file("plots/none.png") is None

    everything = store.experiment("trial")
    assert len(everything.done) == 4  # the parent is no run of its own
    assert [(run.state, run.reason) for run in everything.others] == [("failed", "no luck")]
    with pytest.raises(InputError, match=r"--experiment trail: not in .*; there are .*trial"):
        store.experiment("trail")


@pytest.mark.slow
def test_the_command_finds_the_sweep_in_the_store(tracked_run):
    root, _, before = tracked_run
    code, screen, error = compare("--html", "a.html", "--sweep", before.runs[0].folder.rpartition("/")[0], cwd=root)
    assert (code, error) == (0, "")
    assert "4 runs of 2026-11-22/12-00-00_sweep" in screen
    assert (root / "a.html").read_text().count("data:image/png") == 4


@pytest.mark.slow
def test_of_a_job_done_again_the_one_that_ended_well_counts(tracked_run):
    _, tracking, _ = tracked_run
    client, store = MlflowClient(tracking.uri), Store(tracking.uri)
    parent = store.sweeps()[0]
    again = client.create_run(parent.info.experiment_id, tags={PARENT_TAG: parent.info.run_id, "job": "0"})
    client.set_terminated(again.info.run_id, "FAILED")
    found = store.sweep(parent)
    assert names(found) == ["0", "1", "2", "3"]
    assert all(run.state == "done" for run in found.runs)


@pytest.mark.slow
def test_the_latest_sweep_is_a_table_of_54_lines(tmp_path):
    write_sweep(tmp_path / "runs" / "2026-11-21" / "12-00-00_sweep", SMALL)
    write_sweep(tmp_path / "runs" / "2026-11-22" / "11-00-00_sweep", SMALL)
    write_sweep(tmp_path / "runs" / "grid", GRID)
    (tmp_path / "runs" / "later").mkdir()  # which has begun no job
    (tmp_path / "runs" / "later" / "multirun.yaml").touch()
    _, screen, _ = compare(cwd=tmp_path)
    assert len(re.findall(r"^ +\d+  0\.\d+ \[", screen, re.MULTILINE)) == 54
    assert compare("--help", cwd=tmp_path)[0] == 0


@pytest.mark.slow
def test_runs_below_another_root_are_found_with_the_word_that_put_them_there(tmp_path, tracked_run):
    write_sweep(tmp_path / "there" / "runs" / "2026-11-22" / "11-00-00_sweep", SMALL)
    here = tmp_path / "here"
    here.mkdir()
    code, screen, error = compare("root=../there", "model=simple", cwd=here)
    assert (code, error) == (0, "")
    assert " 2 runs of " in f" {screen}"
    root, _, _ = tracked_run  # of which only the store is left
    code, screen, error = compare(f"root={root}", "--experiment", "trial", cwd=here)
    assert (code, error) == (0, "")
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("name", ["docs/how-to/sweep.md", "docs/mlflow.md", "Makefile"])
def test_the_store_that_is_named_in_words_is_the_one_of_the_configuration(name):
    assert f"--backend-store-uri {store_uri().replace('/./', '/')}\n" in (CONFIGS.parent / name).read_text()


def test_a_comparison_is_a_table_of_pandas(tmp_path):
    comparison = read_sweep(
        write_sweep(tmp_path / "a_sweep", {"model": ["simple", "medium"], "epochs": [50, 80]})
    ).ranked()
    frame = comparison.to_frame()
    assert frame.index.tolist() == [run.name for run in comparison.runs]
    assert frame["success_rate"].is_monotonic_decreasing
    assert set(frame["model"]) == {"simple", "medium"}
    assert (frame["state"] == "done").all()
