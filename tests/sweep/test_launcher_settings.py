"""How jobs are started is looked at before anything is written."""

import pytest
from helpers.commands import command, train
from helpers.configuration import composed

from hiexp.errors import InputError
from hiexp.run.settings import check_launcher

EXECUTOR = "hydra.launcher.executor"
ONE_OF = "give a whole number from 1 up or null"


@pytest.mark.parametrize(
    ("launcher", "word", "said"),
    [
        ("dask", f"{EXECUTOR}.adapt=abc", "give a mapping {name: value} or null"),
        ("dask", f"{EXECUTOR}.cluster=3", "give settings that have a _target_ or null"),
        ("dask", f"{EXECUTOR}.cluster.n_workers=abc", "give a whole number from 0 up or null"),
        ("dask", f"{EXECUTOR}.cluster.n_workers=0", "there would be no worker"),
        ("dask", f"{EXECUTOR}.cluster._target_=nowhere.Cluster", "cannot be imported"),
        ("dask", f"{EXECUTOR}=null", "give settings that have a _target_"),
        ("dask_slurm", f"{EXECUTOR}.cluster.cores=abc", ONE_OF),
        ("dask_scheduler", f"{EXECUTOR}.address=???", f"add {EXECUTOR}.address=..."),
        ("submitit_local", f"{EXECUTOR}.timeout_min=0", ONE_OF),
        ("submitit_slurm", f"{EXECUTOR}.timeout_min=abc", ONE_OF),
        ("submitit_slurm", f"+{EXECUTOR}.slurm_partitoin=long", f"do you mean {EXECUTOR}.slurm_partition?"),
        ("submitit_slurm", f"{EXECUTOR}.slurm_additional_parameters=abc", "give a mapping {name: value} or null"),
    ],
)
def test_a_setting_that_cannot_be_is_named(launcher, word, said):
    with pytest.raises(InputError) as refused:
        check_launcher(composed(f"hydra/launcher={launcher}", word, hydra=True).hydra.launcher)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(word.lstrip("+").partition("=")[0])
    assert said in line


@pytest.mark.parametrize("launcher", ["basic", "joblib", "dask", "dask_slurm", "submitit_slurm", "submitit_local"])
def test_the_settings_that_are_there_can_be(launcher):
    check_launcher(composed(f"hydra/launcher={launcher}", hydra=True).hydra.launcher)


def test_nothing_is_written_for_settings_that_cannot_be(tmp_path):
    words = ["fit=none", "hydra/launcher=dask", f"{EXECUTOR}.adapt=abc"]
    for result in (train("-m", *words, "seed=1,2", cwd=tmp_path), train(*words, cwd=tmp_path)):
        assert result.returncode == 1
        assert result.stderr == f"{EXECUTOR}.adapt=abc: give a mapping {{name: value}} or null\n"
    assert not list(tmp_path.glob("runs/*")) + list(tmp_path.glob("mlruns"))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            f"{EXECUTOR}.adapt={{minimum: 3, maximum: 1}}",
            "adapt.maximum=1: give a number from 1 up, minimum=3 or more",
        ),
        (f"{EXECUTOR}.adapt={{most: 3}}", "adapt.most: there are minimum, maximum"),
        (f"{EXECUTOR}.cluster.memory_limit=abc", "'abc'"),
    ],
)
def test_what_only_the_cluster_can_tell_is_said_here_and_by_status(tmp_path, word, said):
    words = ["-m", "fit=none", "feature=asymmetry", "classifier=knn", "seed=1,2", "tracking=none"]
    result = train(*words, "hydra/launcher=dask", word, cwd=tmp_path)
    assert result.returncode == 1
    assert said in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    status = command("hiexp.status", cwd=tmp_path)
    assert status.returncode == 1
    assert said in status.stdout
    assert "hiexp.compare" not in status.stdout  # there is nothing to compare
