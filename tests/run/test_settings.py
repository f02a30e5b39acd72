"""Settings that cannot be are one line with key, value and what is allowed, before anything is computed."""

from typing import Literal

import pytest
from helpers.commands import command, train
from helpers.configuration import composed
from omegaconf import OmegaConf

from hiexp.configs import CONFIGS
from hiexp.errors import InputError
from hiexp.kinds import Count, Fraction, describe
from hiexp.run.settings import check_settings

GROUPS = [
    *("dataset", "fit", "measurements", "asymmetry", "feature"),
    *("clusterer", "labels", "classifier", "model", "trainer", "schedule", "evaluation"),
]


def members(group):
    return sorted(file.stem for file in (CONFIGS / group).glob("*.yaml"))


@pytest.mark.parametrize("preset", [None, *members("experiment")])
def test_what_is_shipped_passes(preset):
    words = [f"+experiment={preset}"] if preset else []
    check_settings(composed(*words, *(["dataset.like=here"] if preset == "transfer" else [])), "train")


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_every_member_of_every_group_passes_and_every_key_of_it_is_checked(group):
    """What cannot be is a mapping in the place of a number or a word: no key takes this one."""
    for member in members(group):
        words = [
            f"{group}={member}",
            *(["dataset.path=here"] if member in ("alfalfa", "arrays", "cig", "sofia", "spectra") else []),
            *(["dataset.like=here"] if member == "mock_like" else []),
        ]
        cfg = composed(*words)
        check_settings(cfg, "train")
        for key, value in (cfg[group] or {}).items():
            full = f"{group}.{key}"
            if key.startswith("_") or OmegaConf.is_config(value):
                continue
            changed = composed(*words)
            OmegaConf.update(changed, full, {"no": "such value"}, force_add=True)
            with pytest.raises(InputError) as refused:
                check_settings(changed, "train")
            assert key in str(refused.value)
            assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["epochs=abc"], "epochs=abc: give a whole number from 1 up"),
        (["+metrics.accuracy._target_=os.path.join"], "metrics.accuracy: hiexp has one of this name"),
        (["+metrics.run._target_=os.path.join"], "metrics.run: hiexp has one of this name"),
        (["+metrics.classifier._target_=os.path.join"], "metrics.classifier: hiexp has one of this name"),
        (["+metrics.epsilon2_W50._target_=os.path.join"], "metrics.epsilon2_W50: hiexp has one of this name"),
        (["+metrics.a_minus_b._target_=os.path.join"], "metrics.a_minus_b: hiexp has one of this name"),
        (["+pictures.fits._target_=os.path.join"], "pictures.fits: hiexp has one of this name"),
        (["+pictures.a-b._target_=os.path.join"], "pictures.a-b: give a name of letters, digits and _"),
        (["+metrics.mine._target_=no.such"], "metrics.mine._target_=no.such: cannot be imported"),
        (["metrics=kappa", "+metrics.kappa.weight=linear"], "metrics.kappa.weight=linear: nothing reads this key"),
        (["+metrics._target_=os.path.join"], "give a name to each function, with its _target_ below that name"),
        (["+metrics.mine=3"], "metrics={'mine': 3}: give a name to each function, with its _target_ below that name"),
        (["epochs=nan"], "epochs=nan: give a whole number from 1 up"),
        (["epochs=true"], "epochs=true: give a whole number from 1 up"),
        (["seed=-1"], "seed=-1: give a whole number from 0 up and below 4294967296"),
        (["n_classes=null"], "n_classes=null: give a whole number from 2 up"),
        (["n_classes=1"], "n_classes=1: give a whole number from 2 up"),
        (["test_size=[0.3]"], "test_size=[0.3]: give a number above 0 and below 1 or a whole number from 1 up"),
        (["test_size=1.5"], "test_size=1.5: give a number above 0 and below 1 or a whole number from 1 up"),
        (["device=tpu"], "device=tpu: give one of cpu, cuda, auto"),
        (["dataset=cig", "dataset.path=5"], "dataset.path=5: give text (quoted, if it is a number)"),
        (["dataset=alfalfa"], "dataset.path is not set; add dataset.path=... to the command"),
        (
            ["dataset=alfalfa", "dataset.path=x", "dataset.where.SNR=20"],
            "dataset.where.SNR=20: give a list of a number or null; or null",
        ),
        (["model.filters=[0]"], "model.filters=[0]: give a list of a whole number from 1 up"),
        (["evaluation.permutations=0"], "evaluation.permutations=0: give a whole number from 1 up"),
        (
            ["evaluation.yardstick.limits=[]"],
            "evaluation.yardstick.limits=[]: give a list of a number that is not empty",
        ),
        (["evaluation.yardstick.limits=1.3"], "evaluation.yardstick.limits=1.3: give a list of a number"),
        (["+evaluation.yardstick.colum=w50"], "do you mean evaluation.yardstick.column?"),
        (["+evaluation.folds=5"], "evaluation.folds=5: nothing reads this key"),
        (["evaluation=kfold", "evaluation.folds=1"], "evaluation.folds=1: give a whole number from 2 up"),
        (["fit.max_steps=abc"], "fit.max_steps=abc: give a whole number from 1 up"),
        (["classifier.precision=16"], "classifier.precision=16: give one of auto, 32, 32"),
        (["feature=asymmetry", "feature.steps.0.1.limit=1"], "feature.steps.0.1.limit=1: give a number above 1"),
        (
            ["classifier=random_forest", "classifier.n_estimators=0"],
            "classifier.n_estimators: The 'n_estimators' parameter",
        ),
        (["clusterer=dbscan", "clusterer.clusterer.eps=-1"], "clusterer.clusterer.eps: The 'eps' parameter"),
        (["seed=${nowhere}"], "Interpolation key 'nowhere' not found; correct what it refers to"),
        (["dataset._target_=hiexp.datasets.nothing"], "dataset._target_=hiexp.datasets.nothing: cannot be imported"),
        (
            ["dataset._target_=no_such_module.sky"],
            "dataset._target_=no_such_module.sky: cannot be imported (No module",
        ),
        (["+trained.accelerator=gpu"], "trained={'accelerator': 'gpu'}: nothing reads this key"),
        (["limit=0"], "limit=0: give a whole number from 1 up"),
        (["dry_run=1"], "dry_run=1: give"),
        (["+dataset.n_galxies=3"], "dataset.n_galxies=3: nothing reads this key; do you mean dataset.n_galaxies?"),
        (["+fit.max_step=3"], "fit.max_step=3: nothing reads this key; do you mean fit.max_steps?"),
        (["+classifier.epoch=3"], "classifier.epoch=3: nothing reads this key; do you mean classifier.epochs?"),
        (["+evaluation.permutation=3"], "do you mean evaluation.permutations?"),
        (["+learning_rate=3"], "learning_rate=3: nothing reads this key; there are"),
        (["root=5"], "root=5: give text"),
        (["experiment_name="], "experiment_name=: give text (quoted, if it is a number) that is not empty"),
        (["experiment_name=2026"], "experiment_name=2026: give text (quoted, if it is a number)"),
        (["feature=posterior", "feature.measure=A_fl"], "feature.measure=A_fl: give one of A_flux, peak_ratio, A_F"),
        (["feature=posterior", "feature.limits=[]"], "feature.limits=[]: give a list of a number that is not empty"),
        (["feature=posterior", "feature.simulations=50"], "feature.simulations=50: give a whole number from 500 up"),
        (["feature=posterior", "fit.max_steps=abc"], "fit.max_steps=abc: give a whole number from 1 up"),
        (["feature=posterior", "cache.keep_days=0"], "cache.keep_days=0: give a number above 0"),
        (["feature=posterior", "~feature.line_fit"], "feature.line_fit is not there; leave out what removes it"),
        (["asymmetry=posterior", "asymmetry.simulations=1e4"], "asymmetry.simulations=10000.0: give a whole number"),
        (
            ["asymmetry=posterior", "asymmetry.measures=A_flux"],
            "asymmetry.measures=A_flux: give a list of one",
        ),
        (
            ["asymmetry=posterior", "asymmetry.measures=[peak_rati]"],
            "asymmetry.measures=['peak_rati']: give a list of",
        ),
        (["asymmetry=posterior", "asymmetry.limits=1.3"], "asymmetry.limits=1.3: give a list of a number"),
        (["asymmetry=posterior", "fit.max_steps=abc"], "fit.max_steps=abc: give a whole number from 1 up"),
        (["~classifier"], "classifier is not there; leave out what removes it (~classifier)"),
        (["~evaluation.splitter"], "evaluation.splitter is not there; leave out what removes it"),
        (["labels=cluster", "~labels.clusterer"], "labels.clusterer is not there; leave out what removes it"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be(words, said):
    with pytest.raises(InputError) as refused:
        check_settings(composed(*words), "train")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_all_faults_are_said_a_line_each_but_not_what_follows_from_them():
    words = ["epochs=abc", "seed=-1", "+fit.max_step=3", "model.dense=0", "classifier.batch_size=0", "test_size=7.5"]
    with pytest.raises(InputError) as refused:
        check_settings(composed(*words), "train")
    said = [line.partition(":")[0] for line in str(refused.value).split("\n")]
    # The classifier and the split refer to what cannot be, and are not looked at.
    assert sorted(said) == ["epochs=abc", "fit.max_step=3", "model.dense=0", "seed=-1", "test_size=7.5"]


def test_the_best_feature_of_asymmetry_goes_with_any_classifier():
    """As the screen suggests it after a run of the preset."""
    for name in ("knn", "svm", "random_forest"):
        check_settings(composed("+experiment=best_asymmetry", f"classifier={name}"), "train")
    (regression,) = [one for name, one in composed("+experiment=best_asymmetry").classifier.steps if name != "scale"]
    assert regression.class_weight == "balanced"


def test_a_key_of_ones_own_is_fine_where_something_refers_to_it():
    check_settings(composed("+my_number=3", "seed=${my_number}"), "train")


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (Count, "a whole number from 1 up"),
        (Fraction, "a number from 0 up and to 1"),
        (Literal["a", "b"] | None, "one of a, b or null"),
        (dict[str, int], "a mapping {name: value}"),
    ],
)
def test_kinds_in_words(hint, words):
    assert describe(hint) == words


ONE_LINE = [
    (["dataset.path=Größe", "dataset=cig"], "dataset.path=Größe: this value needs quotes of its own"),
    (["dataset.path=a=b.csv", "dataset=arrays"], """'dataset.path="a=b.csv"'"""),
    (["epoch=5"], "epoch: there is no such key; do you mean epochs?"),
    (["classifier=knnn"], "classifier=knnn: do you mean knn?"),
    (["epochs"], "epochs: a word is key=value"),
    (["epochs=1,2"], "several values are a sweep"),
    (["measurements=null"], "measurements=null: a group is left out by  ~measurements"),
    (["classifier=knn", "classifier.p=3"], "KNeighborsClassifier takes beside them: +classifier.p="),
    (["classifier.C=3"], "classifier.C: there is no such key; --cfg job shows all of them"),
    (["evaluation=5"], "evaluation=5: Config group override must be"),
    (["epochs=abc"], "epochs=abc: give a whole number from 1 up"),
    (["dataset=cig", "dataset.path=nowhere"], "dataset.path=nowhere: no such folder"),
    (["-m", "epochs=abc,2"], "epochs=abc: give a whole number from 1 up"),
    (
        ["-m", "seed=1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0"],
        "hydra.launcher.n_jobs=0: give a number",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"), ONE_LINE, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_the_command_says_it_in_one_line(tmp_path, words, said):
    result = train(*words, cwd=tmp_path)
    assert result.returncode == 1
    assert said in result.stderr
    assert result.stderr.strip().count("\n") == 0, result.stderr
    assert "Traceback" not in result.stdout
    assert not list(tmp_path.rglob("fits.ecsv"))


@pytest.mark.slow
def test_the_trace_is_shown_to_who_asks(tmp_path):
    result = train("epoch=5", cwd=tmp_path, HYDRA_FULL_ERROR="1")
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("module", "words", "said"),
    [
        ("hiexp.sync", ["runs=5"], "runs=5: give text"),
        ("hiexp.sync", ["+run=x"], "run=x: nothing reads this key; do you mean runs?"),
        ("hiexp.download", ["dataset.path=x", "connections=0"], "connections=0: give a whole number from 1 up"),
        ("hiexp.download", ["dataset.path=x", "retrys=0"], "retrys: there is no such key; do you mean retries?"),
        ("hiexp.fit", ["epochs=5"], "epochs: there is no such key"),
    ],
)
def test_other_commands_check_theirs(tmp_path, module, words, said):
    result = command(module, *words, cwd=tmp_path)
    assert result.returncode == 1
    assert said in result.stderr


@pytest.mark.slow
def test_quoted_values_folders_of_odd_names_and_globs_work(tmp_path):
    folder = tmp_path / """it's a "Größe" 50% = 1,5"""
    folder.mkdir()
    quick = ["dataset.n_galaxies=30", "fit=none"]
    result = command("hiexp.fit", *quick, 'root="out % ü"', cwd=folder)
    assert result.returncode == 0, result.stderr
    assert (folder / "out % ü" / "mlruns" / "mlflow.db").exists()
    result = command("hiexp.fit", "-m", "dataset.n_galaxies=30", "fit=glob(*lorentzian)", cwd=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 of 2 jobs done" in result.stdout
