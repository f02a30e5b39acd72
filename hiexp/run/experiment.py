"""The stages of a run in their order: dataset, fit, split, labels, feature, classifier, scores."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from hiexp.errors import InputError
from hiexp.garbage import freeze_imports
from hiexp.run.stopwatch import stopwatch
from hiexp.writing import staged

if TYPE_CHECKING:  # pandas, scikit-learn and torch take seconds to import, and --help needs none of them
    import numpy as np
    import pandas as pd
    from sklearn.base import ClassifierMixin, TransformerMixin

    from hiexp.cache import DiskCache, NoCache
    from hiexp.evaluation.split import Division
    from hiexp.fitting import FitResult
    from hiexp.labels import ClusterLabels, ReferenceLabels
    from hiexp.run.outcome import Outcome, Part
    from hiexp.run.pipeline import EachEpoch, Learned
    from hiexp.run.prediction import Prediction, TrainedModel
    from hiexp.run.validation import Watch
    from hiexp.spectra import Spectra

log = logging.getLogger(__name__)

FITTED = ("ids", "velocity", "flux", "valid", "rms", "systemic")  # what a fit sees of the spectra


def fit_sample(cfg: DictConfig, folder: Path, metrics: dict[str, float]) -> tuple[Spectra, FitResult]:
    """Read a dataset, fit its lines and write what came of it: the first two stages of every experiment.

    Parameters
    ----------
    cfg : DictConfig
        A composed ``conf/fit.yaml`` or ``conf/train.yaml``.
    folder : Path
        Receives the files of `write_sample`: made once for all runs of the same sample and fit.
    metrics : dict
        Receives ``fit_seconds``, unless the cache has the fits.

    Raises
    ------
    InputError
        If the data or the settings cannot be used, or, once all is written, no spectrum can.
    """
    from hiexp.run.sample import check_sample

    spectra, fit = fitted_sample(cfg, folder, metrics)
    check_sample(fit)
    return spectra, fit


def fitted_sample(cfg: DictConfig, folder: Path, metrics: dict[str, float]) -> tuple[Spectra, FitResult]:
    """Do what `fit_sample` does, whether or not any spectrum can be used."""
    import pandas as pd
    from hydra.utils import instantiate

    from hiexp.cache import Files, fingerprint
    from hiexp.datasets.limit import limited
    from hiexp.fitting import FitResult
    from hiexp.plots.formats import formats
    from hiexp.run.sample import say_missing, write_sample
    from hiexp.run.shards import Sharding
    from hiexp.spectra import TABLES, Spectra

    cache, dataset = instantiate(cfg.cache), instantiate(cfg.dataset, _convert_="all")
    freeze_imports()
    # Any other dataset reads files, which may change between two runs.
    if getattr(dataset.func, "computed", False):
        spectra = cache.recall("dataset", Spectra, (cfg.dataset,), dataset)
        key = fingerprint(cfg.dataset)
    else:
        spectra = dataset()
        key = fingerprint(*(getattr(spectra, name) for name in FITTED))
    spectra = replace(spectra, digest=key)
    if cfg.get("ids"):
        from hiexp.datasets.by_name import choose  # reads tables, too, and imports astropy for it

        spectra = choose(spectra, cfg.ids)
    if cfg.get("limit") and cfg.limit < len(spectra):
        log.info("limit=%d: %d of %d objects", cfg.limit, cfg.limit, len(spectra))
        spectra, key = limited(spectra, cfg.limit), fingerprint(key, cfg.limit)
    given = cfg.fit, key, cfg.get("ids")
    sharding = Sharding.of(cfg, cache, spectra, key, folder)

    @stopwatch(metrics, "fit_seconds")
    def fit_all() -> FitResult:
        return sharding.run("fit", given) or instantiate(cfg.fit, _convert_="all")(spectra)

    def measure_all() -> FitResult:
        measured = sharding.run("measurements", given_measured, cache.entry("fit", given))
        if measured is None:
            return instantiate(cfg.measurements, _convert_="all")(spectra, fitted)
        return replace(fitted, table=pd.concat([fitted.table, measured.table], axis=1))

    fit = fitted = cache.recall("fit", FitResult, given, fit_all)
    sharding.forget("fit", given)
    if cfg.get("measurements"):
        given_measured = *given, cfg.measurements, spectra.catalogue
        fit = cache.recall("measurements", FitResult, given_measured, measure_all)
        sharding.forget("measurements", given_measured)
    if cfg.get("asymmetry"):
        measured = fit
        fit = cache.recall(
            "asymmetry_posterior",
            FitResult,
            (*given, cfg.get("measurements"), cfg.asymmetry, spectra.catalogue),
            lambda: instantiate(cfg.asymmetry, _convert_="all")(spectra, measured),
        )
    files = cache.recall(
        "sample",
        Files,
        (
            *given,
            cfg.get("measurements"),
            cfg.get("asymmetry"),
            *(spectra.frame, formats()),
            *(getattr(spectra, name) for name in TABLES),
        ),
        lambda: Files.written(lambda empty: write_sample(spectra, fit, empty)),
    )
    with staged(folder) as stage:
        files.save(stage)
    say_missing(spectra, fit)
    return spectra, fit


def run_experiment(cfg: DictConfig, folder: Path, metrics: dict[str, float], watch: Watch | None = None) -> Outcome:
    """Call the stages in order.

    Parameters
    ----------
    cfg : DictConfig
        A composed ``conf/train.yaml``.
    folder : Path
        Receives the tables of `write_sample` as soon as they are computed.
    metrics : dict
        Receives ``fit_seconds``, ``train_seconds`` and the like, summed over folds, and with an ``objective`` the
        score of the inner validation part, ``inner_S``.
    watch : callable, optional
        Is told epoch and score of the inner validation part while a network is trained on the rest.

    Raises
    ------
    InputError
        If the data or the settings cannot be used.
    PrunedError
        If `watch` stops it.
    """
    from hydra.utils import instantiate

    from hiexp.evaluation.dependence import catalogue_parameters
    from hiexp.evaluation.metrics import INNER
    from hiexp.evaluation.split import split
    from hiexp.evaluation.training_sample import line_quantities
    from hiexp.mapped import rows_taken
    from hiexp.run.outcome import Outcome
    from hiexp.run.pipeline import seen_by

    cache = instantiate(cfg.cache)
    spectra, fit = fit_sample(cfg, folder, metrics)
    quantities = line_quantities(spectra, fit)
    labels = instantiate(cfg.labels, _convert_="all")
    taking_part = fit.good & labels.eligible(spectra.reference, len(spectra))
    profiles, seen = rows_taken(fit.profiles, taking_part), seen_by(feature_of(cfg), spectra, fit)
    seen = profiles if seen is fit.profiles else rows_taken(seen, taking_part)
    spectra = spectra.without_channels().take(taking_part)
    parameters = catalogue_parameters(cfg.evaluation.parameters, spectra.catalogue, fit.table[taking_part])
    splitter = instantiate(cfg.evaluation.splitter)
    divisions = split(spectra, cfg.evaluation.split, splitter, cfg.evaluation.get("groups"))
    fits, quantities = fit.table[taking_part], quantities[taking_part]
    if cfg.get("objective"):  # first, so that a trial that is pruned costs no more than that
        with stopwatch(metrics, "validation_seconds"):
            metrics[f"{INNER}{cfg.objective}"] = _validated(
                cfg, cache, labels, profiles, seen, spectra, divisions, folder, watch
            )
    ruled, measures = without_classifier(cfg, cache, profiles, spectra.reference, fits, divisions[0].train)
    first, n_divisions = divisions[0], len(divisions)
    several = f" in the first of {n_divisions} folds" if n_divisions > 1 else ""
    log.info("%d objects to train on, %d held out%s", len(first.train), len(first.test), several)
    parts = [
        learn_part(cfg, cache, labels, profiles, seen, spectra, fits, quantities, measures, part, metrics)
        for part in tqdm(divisions, desc="folds", unit=" folds", delay=1, leave=False, disable=n_divisions == 1)
    ]
    windows, own = fit.windows[taking_part], functions_of(cfg, "metrics")
    n_draws = cfg.evaluation.permutations
    return Outcome.of(spectra, profiles, parameters, parts, ruled, n_draws, cfg.seed, windows, own)


def _validated(
    cfg: DictConfig,
    cache: DiskCache | NoCache,
    labels: ReferenceLabels | ClusterLabels,
    profiles: np.ndarray,
    seen: np.ndarray,
    spectra: Spectra,
    divisions: Sequence[Division],
    folder: Path,
    watch: Watch | None,
) -> float:
    """Return the objective of an inner validation part, cut from the objects that the only division trains on."""
    from hydra.utils import instantiate

    from hiexp.evaluation.split import validation_divisions
    from hiexp.run.validation import check_objective, validation_score

    check_objective(cfg.objective, cfg.evaluation)
    splitter = instantiate(cfg.evaluation.validation)
    inner = validation_divisions(spectra, divisions, splitter, cfg.evaluation.get("groups"))

    def learn_inner(division: Division, each_epoch: EachEpoch | None) -> Learned:
        return learn_classes(cfg, cache, labels, profiles, seen, spectra.reference, division, {}, each_epoch)

    return validation_score(cfg.objective, inner, learn_inner, spectra.ids, spectra.reference, watch, folder)


def feature_of(cfg: DictConfig) -> TransformerMixin:
    """Return the feature of an experiment, not fitted.

    Raises
    ------
    InputError
        If it refuses its settings, one that learns from simulated lines what it finds in them.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(cfg.feature, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, InputError):
            raise error.__cause__ from error
        raise


def classifier_of(cfg: DictConfig) -> ClassifierMixin:
    """Return the classifier of an experiment, not fitted.

    A torch module of somebody's own is made when the classifier is fitted, so that its seed is that of the weights.
    """
    from hydra.utils import get_object, instantiate

    network = cfg.classifier.get("network")
    if not isinstance(network, DictConfig) or not hasattr(get_object(network["_target_"]), "state_dict"):
        return instantiate(cfg.classifier, _convert_="all")
    from hiexp.classifiers.cnn.options import OwnNetwork

    settings: Any = OmegaConf.to_container(cfg.classifier, resolve=True)
    settings["network"]["_partial_"] = True
    classifier = instantiate(settings, _convert_="all")
    classifier.network = OwnNetwork(classifier.network.func, classifier.network.keywords)
    return classifier


def functions_of(cfg: DictConfig, group: str) -> dict[str, Callable]:
    """Return the functions that ``metrics`` or ``pictures`` names, by name, each with its settings."""
    from hydra.utils import instantiate

    chosen: Any = OmegaConf.to_container(cfg, resolve=True)
    named = chosen.get(group) or {}
    return {name: instantiate(member | {"_partial_": True}, _convert_="all") for name, member in named.items()}


def without_classifier(
    cfg: DictConfig,
    cache: DiskCache | NoCache,
    profiles: np.ndarray,
    reference: np.ndarray | None,
    fits: pd.DataFrame,
    train: np.ndarray,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return what yardsticks need: classes by a rule, shape (N,), and measures of asymmetry, shape (N, 9).

    Neither where there are no reference classes or no lines, nor with ``evaluation.yardstick=null``; no classes where
    the rule is not about those of the dataset.
    """
    from hydra.utils import instantiate

    from hiexp.features import ProfileAsymmetry
    from hiexp.run.pipeline import Values

    yardstick = instantiate(cfg.evaluation.get("yardstick"))
    if yardstick is None or reference is None or fits["w50"].isna().all():
        return None, None
    ruled = yardstick.classify(yardstick.values(fits), reference, train)
    measured = cache.recall(
        "asymmetry", Values, (profiles,), lambda: Values(ProfileAsymmetry().fit_transform(profiles))
    )
    return ruled, measured.values  # noqa: PD011


def learn_classes(
    cfg: DictConfig,
    cache: DiskCache | NoCache,
    labels: ReferenceLabels | ClusterLabels,
    profiles: np.ndarray,
    seen: np.ndarray,
    reference: np.ndarray | None,
    division: Division,
    metrics: dict[str, float],
    each_epoch: EachEpoch | None = None,
) -> Learned:
    """Fit labels, feature and classifier on the training part of one division, and predict the classes of all."""
    from hiexp.labels import Assignment
    from hiexp.run.pipeline import Features, Learned, Values, extract, learn, learned_from, predict

    # Each of the next two is computed once for all runs that agree on what it is given.
    assigned = cache.recall(
        "labels",
        Assignment,
        (cfg.labels, profiles, reference, division.train),
        stopwatch(metrics, "labels_seconds")(lambda: labels.assign(profiles, reference, division.train)),
    )
    classes, training = assigned.classes, assigned.training
    feature = feature_of(cfg)
    learned = learned_from(feature, training, classes)
    given = cfg.feature, seen, *learned
    make = stopwatch(metrics, "feature_seconds")(lambda: extract(feature, seen, training, classes))
    if learned:
        features = cache.recall("feature", Features, given, make)
    else:  # the transformer is not read from a file, for which skops imports all of scikit-learn
        values = cache.recall("feature", Values, given, lambda: Values(make().values)).values  # noqa: PD011
        features = Features(feature.fit(seen[:1], classes[:1]), values)
    with stopwatch(metrics, "train_seconds"):
        model = learn(features, classifier_of(cfg), training, classes, each_epoch)
    with stopwatch(metrics, "predict_seconds"):
        predicted, probability = predict(model, features)
    return Learned(assigned, features, model, predicted, probability)


def learn_part(
    cfg: DictConfig,
    cache: DiskCache | NoCache,
    labels: ReferenceLabels | ClusterLabels,
    profiles: np.ndarray,
    seen: np.ndarray,
    spectra: Spectra,
    fits: pd.DataFrame,
    quantities: pd.DataFrame,
    measures: np.ndarray | None,
    division: Division,
    metrics: dict[str, float],
) -> Part:
    """Learn classes from the training part of one division of the sample, and predict those of all objects."""
    from hiexp.evaluation.groups import tree_scores
    from hiexp.evaluation.training_sample import TrainingSample
    from hiexp.evaluation.yardstick import regression_classes
    from hiexp.mapped import rows_taken
    from hiexp.run.compact import FeaturePlaces, on_a_page
    from hiexp.run.outcome import Part

    learned = learn_classes(cfg, cache, labels, profiles, seen, spectra.reference, division, metrics)
    assigned, features = learned.assigned, learned.features
    classes, training = assigned.classes, assigned.training
    # Of other repeats no model is kept.
    first = division.repeat == 1
    sample = TrainingSample.of(rows_taken(features.values, training), quantities.iloc[training]) if first else None
    places = None
    if sample is not None and division.fold == 1 and on_a_page(len(spectra)):
        places = FeaturePlaces.of(spectra.ids, features.values, sample)
    n_draws, explained = cfg.evaluation.permutations, {}
    if assigned.clustered.size:
        explained = tree_scores(fits, classes, division.train, division.test, n_draws, cfg.seed)
    regression = None if measures is None else regression_classes(measures, classes, training)
    return Part(
        division,
        assigned,
        learned.predicted,
        learned.probability,
        learned.model,
        sample,
        regression,
        explained,
        places,
    )


def predict_sample(cfg: DictConfig, folder: Path, metrics: dict[str, float]) -> Prediction:
    """Read a dataset, fit its lines as a trained run has fitted its own, and predict their classes by its model.

    Where no line can be fitted, all of the objects are without a class.

    Parameters
    ----------
    cfg : DictConfig
        A composed ``conf/predict.yaml``.
    folder : Path
        Receives the tables of `write_sample` as soon as they are computed.
    metrics : dict
        Receives counts, ``fit_seconds`` and ``predict_seconds``.

    Raises
    ------
    InputError
        If the run or the data cannot be used, or one is not made for the other.
    """
    from hiexp.run.prediction import TrainedModel
    from hiexp.run.summary import display_path
    from hiexp.run.trained import trained_run

    trained = TrainedModel.load(trained_run(cfg), list(cfg.trust), cfg.device)
    log.info("Model of %s: %s", display_path(trained.folder), trained.in_words())
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    settings |= {"fit": trained.fit, "measurements": trained.measurements}
    spectra, fit = fitted_sample(OmegaConf.create(settings), folder, metrics)
    metrics |= fit.metrics()
    return predict_fitted(trained, spectra, fit, cfg.parameters, cfg.permutations, cfg.seed, metrics)


def fitted(fit: Mapping[str, object], measurements: Mapping[str, object] | None, spectra: Spectra) -> FitResult:
    """Return spectra fitted and measured as a trained run's settings have it; nothing is cached or written."""
    from hydra.utils import instantiate

    found = instantiate(fit, _convert_="all")(spectra)
    return instantiate(measurements, _convert_="all")(spectra, found) if measurements else found


def predict_fitted(
    trained: TrainedModel,
    spectra: Spectra,
    fit: FitResult,
    parameters: Sequence[str],
    n_draws: int,
    seed: int,
    metrics: dict[str, float],
) -> Prediction:
    """Predict the classes of objects whose lines have been fitted as those that a model was trained on.

    Parameters
    ----------
    trained : TrainedModel
        The model.
    spectra, fit
        The N objects.
    parameters : sequence of str
        Names of what the classes are held against, of catalogue and fits.
    n_draws : int
        Permutations and bootstrap samples of the scores.
    seed : int
        Seed of the random draws.
    metrics : dict
        Receives ``predict_seconds``.
    """
    from hiexp.evaluation.dependence import catalogue_parameters
    from hiexp.evaluation.training_sample import line_quantities
    from hiexp.mapped import rows_taken
    from hiexp.run.pipeline import seen_by
    from hiexp.run.prediction import Prediction

    good = fit.good
    with stopwatch(metrics, "predict_seconds"):
        seen = seen_by(trained.models[0]["feature"], spectra, fit)
        classified = trained.classify(rows_taken(seen, good), line_quantities(spectra, fit)[good])
    known = catalogue_parameters(parameters, spectra.catalogue[good], fit.table[good])
    return Prediction.of(spectra, fit, known, trained, classified, n_draws, seed)
