"""Every configuration composes, and what it names can be built."""

from itertools import product

import pytest
from helpers.configuration import composed
from hydra.utils import instantiate

from hiexp.configs import CONFIGS
from hiexp.run.provenance import config_hash, flat_parameters

STAGES = [
    *("dataset", "fit", "measurements", "asymmetry", "feature"),
    *("clusterer", "labels", "classifier", "model", "trainer", "tracking"),
]
MEMBERS = [f"{group}={file.stem}" for group in STAGES for file in sorted((CONFIGS / group).glob("*.yaml"))]
PRESETS = [f"+experiment={file.stem}" for file in sorted((CONFIGS / "experiment").glob("*.yaml"))]


LEARNED = ["feature.simulations=500", "fit=none", "cache=off"]
"""What a feature is told that learns when it is built."""


@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_can_be_built(member):
    words = LEARNED if member == "feature=posterior" else []
    group, _, name = member.partition("=")
    built = instantiate(composed(member, *words)[group], _convert_="all")
    assert (built is None) == (name == "none" and group in ("measurements", "asymmetry"))


@pytest.mark.parametrize("member", [member for member in MEMBERS if member.startswith(("dataset=", "fit="))])
def test_what_is_fitted_needs_no_key_of_the_training(member):
    assert flat_parameters(composed(member, command="fit"))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_composes_with_every_tracking(preset):
    for tracking in ("local", "none", "server"):
        cfg = composed(preset, f"tracking={tracking}")
        assert len(flat_parameters(cfg)) > 30


def test_the_published_preset_is_the_published_setting():
    cfg = composed("+experiment=published_cnn")
    assert (cfg.epochs, cfg.test_size, cfg.random_state) == (80, 0.3, 42)
    assert (cfg.feature.size, cfg.feature.quarter, cfg.feature.colormap) == (128, False, "RdBu")
    assert (list(cfg.model.filters), cfg.model.padding, cfg.classifier.network.padding) == (
        [32, 64, 128],
        "valid",
        "valid",
    )
    assert (cfg.classifier.learning_rate, cfg.classifier.weight_decay, cfg.classifier.batch_size) == (1e-3, 1e-5, 32)


def test_the_hash_follows_what_changes_numbers_and_nothing_else():
    base = config_hash(composed())
    assert base == config_hash(composed("root=/elsewhere", "tracking=none", "experiment_name=other"))
    assert base == config_hash(composed("test_size=0.3"))
    archive = ("dataset=alfalfa", "dataset.path=spectra")
    assert config_hash(composed(*archive)) == config_hash(composed(*archive, "root=/elsewhere"))
    assert config_hash(composed(*archive)) != config_hash(composed(*archive, "dataset.where.SNR=[8,null]"))
    posterior = ("asymmetry=posterior", "feature=posterior")
    elsewhere = (config_hash(composed(*posterior, *words)) for words in (["root=/elsewhere"], ["cache=off"]))
    assert {config_hash(composed(*posterior))} == {*elsewhere}
    assert len({base, config_hash(composed("seed=1")), config_hash(composed("model=medium"))}) == 3


def test_the_published_grid_is_the_published_grid():
    words = dict.fromkeys(("cnn54", "cnn54_published"))
    for name in words:
        cfg = composed(f"+experiment={name}", hydra=True)
        words[name] = dict(cfg.hydra.sweeper.params)
        assert (cfg.classifier.batch_size, cfg.classifier.learning_rate, cfg.classifier.weight_decay) == (
            32,
            1e-3,
            1e-5,
        )
    assert words["cnn54"] == words["cnn54_published"]
    assert next(iter(words["cnn54"])) == "epochs"  # the slowest to vary: longer trainings find the shorter ones done
    assert words["cnn54"] == {
        "epochs": "50,80,120",
        "model": "simple,medium,complex",
        "test_size": "0.3,0.5,0.7",
        "random_state": "42,99",
    }
    published = composed("+experiment=cnn54_published")
    assert (published.feature.size, published.feature.quarter, published.feature.colormap) == (128, False, "RdBu")
    assert (published.model.padding, published.model.conv_dropout) == ("valid", 0.25)
    assert not published.classifier.standardize


def test_without_a_cache_no_training_is_kept():
    assert composed("cache=off").classifier.checkpoints is None
    assert composed().classifier.checkpoints == "./cache"


@pytest.mark.parametrize("grid", ["cnn54", "quick54"])
def test_a_control_is_its_grid_with_labels_at_random(grid):
    honest, control = (composed(f"+experiment={name}", hydra=True) for name in (grid, f"{grid}_control"))
    assert control.hydra.sweeper.params == honest.hydra.sweeper.params
    assert len(list(product(*(values.split(",") for values in control.hydra.sweeper.params.values())))) == 54
    assert (honest.labels._target_, control.labels._target_) == (
        "hiexp.labels.ReferenceLabels",
        "hiexp.labels.RandomLabels",
    )
    assert (honest.classifier, honest.feature, honest.fit) == (control.classifier, control.feature, control.fit)
