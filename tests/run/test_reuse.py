"""What an earlier run has finished is taken over only if it is that run's, and whole."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import train
from helpers.configuration import composed
from omegaconf import OmegaConf

from hiexp.errors import InputError
from hiexp.run.files import RUN_FILE, begin, refuse_others_folder, results, seal
from hiexp.run.provenance import work_key
from hiexp.run.reuse import WORK_TAG, work_lock
from hiexp.tracking.mlflow_store import UID_TAG, MlflowTracking
from hiexp.writing import staged

pytestmark = pytest.mark.slow

FILES = {"metrics.json": '{"success_rate": 0.5}', "predictions.csv": "id,predicted\na,1\n", "model/weights": "1"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """An empty store: MLflow takes seconds to make one."""
    folder = tmp_path_factory.mktemp("store")
    MlflowTracking(f"sqlite:///{folder}/mlruns/mlflow.db", str(folder / "mlruns" / "artifacts"), "hiexp").prepare()
    return folder / "mlruns" / "mlflow.db"


@pytest.fixture
def finished(tmp_path, store):
    """A configuration, its key, and the folder of a run that has done it."""
    cfg = composed("feature=raw", "classifier=knn", f"root={tmp_path}")
    (tmp_path / "mlruns").mkdir()
    shutil.copy(store, tmp_path / "mlruns")
    tracking = MlflowTracking(**{key: cfg.tracking[key] for key in ("uri", "artifacts", "experiment")})
    tracking = MlflowTracking(tracking.uri, tracking.artifacts, "mine")  # the other's artefacts lie elsewhere
    cfg.tracking.experiment = "mine"
    key, folder = work_key(cfg), tmp_path / "first"
    folder.mkdir()
    run = begin(folder, key)
    tags = {WORK_TAG: key, UID_TAG: run.uid, "folder": str(folder), "host": "here"}
    with tracking.run("first", {}, tags, folder):
        write(folder)
        seal(folder, run)
    return cfg, key, folder


def write(folder, files=FILES):
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text)


def taken_over(cfg, key, folder):
    folder.mkdir(exist_ok=True)
    with work_lock(cfg, key, folder, in_sweep=True) as metrics:
        return metrics


def read(folder):
    return {name: (folder / name).read_text() for name in FILES}


def test_the_files_are_copies(finished, tmp_path):
    cfg, key, first = finished
    assert taken_over(cfg, key, tmp_path / "second") == {"success_rate": 0.5}
    assert json.loads((tmp_path / "second" / "reused.json").read_text())["folder"] == str(first)
    (first / "predictions.csv").write_text("")
    assert read(tmp_path / "second") == FILES


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "predictions.csv").write_text(""),
        lambda folder: (folder / "predictions.csv").write_text("id,predicted\na,2\n"),
        lambda folder: (folder / "metrics.json").write_text('{"success_rate": 0.9}'),
        lambda folder: (folder / "model" / "weights").unlink(),
        lambda folder: (folder / RUN_FILE).write_text("{"),
        lambda folder: (folder / RUN_FILE).unlink(),
        lambda folder: shutil.rmtree(folder),
    ],
    ids=["emptied", "edited", "other metrics", "file missing", "run.json damaged", "run.json missing", "deleted"],
)
def test_a_harmed_folder_heals_from_the_store_and_else_the_work_is_done_again(finished, tmp_path, harm):
    cfg, key, first = finished
    harm(first)
    assert taken_over(cfg, key, tmp_path / "second") == {"success_rate": 0.5}
    assert read(tmp_path / "second") == FILES
    (artefact,) = tmp_path.glob("mlruns/artifacts/*/artifacts/predictions.csv")
    artefact.write_text("")
    assert taken_over(cfg, key, tmp_path / "third") is None
    assert not list((tmp_path / "third").iterdir())


def test_a_folder_that_another_run_has_been_given_serves_nobody(finished, tmp_path):
    """Its files are whole and of the same name: only the id says that they are not those that were meant."""
    cfg, key, first = finished
    shutil.rmtree(tmp_path / "mlruns" / "artifacts")
    shutil.rmtree(first)
    first.mkdir()
    other = begin(first, key)
    write(first, FILES | {"metrics.json": '{"success_rate": 0.9}'})
    seal(first, other)
    assert taken_over(cfg, key, tmp_path / "second") is None


def test_only_what_the_run_itself_lists_is_copied_and_nothing_outside_of_it(finished, tmp_path):
    cfg, key, first = finished
    (tmp_path / "secret").write_text("secret")
    (first / "notes.txt").write_text("mine")
    (first / "link").symlink_to(tmp_path / "secret")
    assert taken_over(cfg, key, tmp_path / "second") == {"success_rate": 0.5}
    copied = {entry.name for entry in (tmp_path / "second").iterdir()}
    assert copied == {"metrics.json", "predictions.csv", "model", "reused.json"}

    forged = json.loads((first / RUN_FILE).read_text())
    forged["files"]["../secret"] = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
    (first / RUN_FILE).write_text(json.dumps(forged))
    assert results(first, key) is None


def test_a_job_started_again_in_its_own_folder_finds_itself_finished(finished, tmp_path):
    cfg, key, first = finished
    (first / "error.txt").write_text("RuntimeError: the node went away")
    before = sorted(entry.name for entry in first.rglob("*"))
    assert taken_over(cfg, key, first) == {"success_rate": 0.5}
    assert sorted(entry.name for entry in first.rglob("*")) == [name for name in before if name != "error.txt"]
    assert read(first) == FILES


def test_a_folder_is_empty_or_of_the_same_work(tmp_path):
    folder = tmp_path / "out"
    refuse_others_folder(folder, "a1", "hydra.run.dir")
    folder.mkdir()
    (folder / "train.log").touch()
    (folder / ".hydra").mkdir()
    (folder / "error.txt").touch()
    refuse_others_folder(folder, "a1", "hydra.run.dir")
    (folder / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"hydra\.run\.dir=.*out: this folder holds thesis\.tex"):
        refuse_others_folder(folder, "a1", "hydra.run.dir")
    begin(folder, "a1")
    refuse_others_folder(folder, "a1", "hydra.run.dir")
    with pytest.raises(InputError, match="this folder holds another run"):
        refuse_others_folder(folder, "b2", "hydra.run.dir")
    with pytest.raises(InputError, match="this is a file"):
        refuse_others_folder(folder / "thesis.tex", "b2", "hydra.run.dir")


def test_what_is_half_written_has_no_name(tmp_path):
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "fits.png").touch()
    with pytest.raises(RuntimeError), staged(tmp_path) as stage:
        (stage / "predictions.csv").write_text("id")
        raise RuntimeError("killed")
    assert not (tmp_path / "predictions.csv").exists()
    with staged(tmp_path) as stage:
        (stage / "plots").mkdir()
        (stage / "plots" / "classes.png").touch()
    assert {file.name for file in tmp_path.rglob("*")} == {"plots", "fits.png", "classes.png"}


QUICK = ["dataset.n_galaxies=60", "fit=none", "feature=raw", "classifier=knn", "evaluation.permutations=20"]


def test_a_folder_given_to_other_settings_is_refused_and_a_sweep_has_the_numbers_of_its_own(tmp_path):
    def run(*words, ends=0):
        result = train(*words, *QUICK, cwd=tmp_path)
        assert result.returncode == ends, result.stdout + result.stderr
        return result.stdout + result.stderr

    def predicted(folder):
        return (folder / "predictions.csv").read_text()

    run("random_state=1", "hydra.run.dir=out")
    first = predicted(tmp_path / "out")
    overrides = (tmp_path / "out" / ".hydra" / "overrides.yaml").read_text()
    refused = run("random_state=5", "hydra.run.dir=out", ends=1)
    assert "hydra.run.dir=out: this folder holds another run" in refused
    assert predicted(tmp_path / "out") == first
    assert (tmp_path / "out" / ".hydra" / "overrides.yaml").read_text() == overrides

    shutil.rmtree(tmp_path / "out")
    run("random_state=5", "hydra.run.dir=out")
    fifth = predicted(tmp_path / "out")
    assert fifth != first
    run("-m", "random_state=1,5")
    configs = tmp_path.glob("runs/*/*_sweep/*/config.yaml")
    jobs = {OmegaConf.load(file)["random_state"]: file.parent for file in configs}
    assert {predicted(jobs[1]), predicted(jobs[5])} == {first, fifth}
    assert predicted(jobs[1]) == first


@pytest.mark.slow
def test_the_files_that_a_pattern_names_are_part_of_the_work(tmp_path):
    (tmp_path / "one.txt").write_text("4000 1\n")
    said = "from helpers.configuration import composed; from hiexp.run.provenance import work_key; "
    said += f"print(work_key(composed('dataset=spectra', 'dataset.path={tmp_path}/*.txt')))"
    tests = str(Path(__file__).parents[1])

    def key():
        env = os.environ | {"PYTHONPATH": os.pathsep.join([tests, *sys.path])}
        return subprocess.run(
            [sys.executable, "-c", said], env=env, capture_output=True, text=True, check=True
        ).stdout

    before = key()
    assert key() == before
    (tmp_path / "two.txt").write_text("4000 1\n")
    assert key() != before
