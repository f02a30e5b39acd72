"""What the screen says when a run has ended."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.conf import HydraConf
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from hiexp.commandline import quoted, words_typed
from hiexp.evaluation.metrics import METRICS, groups_of_width, metric, shown_in
from hiexp.long_tables import table_name, written_table
from hiexp.run.files import PAGES_FOLDER, PLOTS_FOLDER, PREDICTIONS_FILE
from hiexp.run.transfer import TRANSFER_FOLDER, of_transfer

if TYPE_CHECKING:
    import numpy as np

    from hiexp.evaluation.yardstick import Thresholds
    from hiexp.fitting import FitResult
    from hiexp.run.outcome import Outcome
    from hiexp.run.prediction import Prediction
    from hiexp.spectra import Spectra

STAGES = ("dataset", "fit", "measurements", "asymmetry", "feature", "labels", "classifier", "evaluation")
MEDIANS = ["position", "w50", "flux_int", "snr"]
FEWEST_TO_LEARN_FROM, FEWEST_FOR_A_NETWORK = 30, 60  # objects: what is suggested below them would tell nothing
PAGES_SHOWN = 5  # of objects
TRAINED_ON = "n_test_trained_on"  # of the metrics, where there are any
FRACTION = "fraction_"  # how numbers of a sample begin that are fractions of it
SKIPPED_FILE = "skipped.csv"
REASONS = 5  # told on the screen; that file has all of them


def opening(job: HydraConf, folder: Path) -> str:
    """Return what a single run is about to do, and where."""
    choices = job.runtime.choices
    stages = "  ".join(f"{stage}={choices[stage]}" for stage in STAGES if choices.get(stage))
    return f"{stages}\nin {display_path(folder)}"


def one_line(metrics: Mapping[str, float]) -> str:
    """Return the scores of a job in a sweep."""
    if "success_rate" not in metrics:
        return "nothing to score against"
    rule = metrics.get("yardstick_balanced_accuracy")
    measured = "" if rule is None else f", yardstick {rule:.3f}"
    no_score = "; no score: tested on objects that it was trained on" if TRAINED_ON in metrics else ""
    return (
        f"balanced accuracy {metrics['balanced_accuracy']:.3f} "
        f"(chance {metrics['chance_balanced_accuracy']:.3f}{measured}), "
        f"success rate {metrics['success_rate']:.3f} (chance {metrics['chance_success_rate']:.3f})"
        f"{no_score}"
    )


def summary(
    outcome: Outcome,
    transferred: Prediction | None,
    metrics: Mapping[str, float],
    cfg: DictConfig,
    job: HydraConf,
    folder: Path,
) -> str:
    """Return the closing summary of a single run: scores, what its model says elsewhere, places, what next."""
    command = f"{python_command()} -m hiexp.train"
    rule = instantiate(cfg.evaluation.get("yardstick"))
    own = [*(cfg.get("metrics") or {})]
    lines = [
        "",
        *_score_table(outcome, metrics, own),
        *_beside(metrics, rule),
        *_groups(metrics),
        *_followed(outcome),
        "",
    ]
    if transferred is not None:
        lines += [f"The spectra that the sky is like, dataset.like={cfg.dataset.like}:"]
        lines += [*_prediction_lines(transferred, of_transfer(metrics)), ""]
    lines.append(f"predictions  {display_path(written_table(folder / PREDICTIONS_FILE))}")
    if transferred is not None:
        lines.append(f"{'':13}{display_path(written_table(folder / TRANSFER_FOLDER / PREDICTIONS_FILE))}")
    return "\n".join([*lines, *_places(cfg, folder), f"try next:  {command} {_following(cfg, job)}".rstrip()])


def training_one_line(metrics: Mapping[str, float]) -> str:
    """Return what came of the training of a job in a sweep, and of its transfer where there was one."""
    moved = of_transfer(metrics)
    return one_line(metrics) + (f"; transfer: {prediction_one_line(moved)}" if moved else "")


def fit_one_line(metrics: Mapping[str, float]) -> str:
    """Return how the fits of a job in a sweep went."""
    text = f"{metrics['n_good']} of {metrics['n_spectra']} {_in_how_long(metrics)}"
    return f"{text}, median chi2_dof {metrics['median_chi2_dof']:.3f}" if "median_chi2_dof" in metrics else text


def fit_summary(
    spectra: Spectra, fit: FitResult, metrics: Mapping[str, float], cfg: DictConfig, job: HydraConf, folder: Path
) -> str:
    """Return the closing summary of a run that fits alone: how it went, places, what to type next."""
    table = display_path(written_table(folder / "fits.ecsv"))
    labels = _labels(spectra.reference)
    if metrics["n_good"] < FEWEST_TO_LEARN_FROM:
        following = f"hiexp.fit -m {_words(job, ['fit=busy,gaussian,double_lorentzian'])}"
    else:
        few = ["feature=asymmetry", "classifier=random_forest"] if metrics["n_good"] < FEWEST_FOR_A_NETWORK else []
        following = f"hiexp.train {_words(job, [labels, *few], without=('export', 'ids', 'shards'))}"
    lines = [
        "",
        f"{metrics['n_good']} of {metrics['n_spectra']} spectra {_in_how_long(metrics)}",
        *_failure_counts(fit),
        *_flag_counts(fit),
        "",
        *_median_table(fit),
        *_asymmetric_fractions(fit),
        "",
        f"table        {table}",
        *_places(cfg, folder),
        f"read the table:  from astropy.table import Table; fits = Table.read({table!r})",
        f"try next:  {python_command()} -m {following}",
    ]
    return "\n".join(lines)


def prediction_one_line(metrics: Mapping[str, float]) -> str:
    """Return what came of the predictions of a job in a sweep."""
    text = f"{metrics['n_good']} of {metrics['n_spectra']} classified"
    if "n_unlike" in metrics:
        text += f", {metrics['n_unlike']} unlike the training sample"
    return f"{text}; {one_line(metrics)}"


def prediction_summary(
    prediction: Prediction, metrics: Mapping[str, float], cfg: DictConfig, job: HydraConf, folder: Path
) -> str:
    """Return the closing summary of a run that predicts: classes, failures, flags, scores, places, what next."""
    typed = _words(job, [_labels(prediction.reference)], without=("run", "trust", "permutations", "parameters"))
    lines = [
        "",
        *_prediction_lines(prediction, metrics),
        "",
        f"predictions  {display_path(written_table(folder / PREDICTIONS_FILE))}",
        *_places(cfg, folder),
        f"try next:  {python_command()} -m hiexp.train {typed}",
    ]
    return "\n".join(lines)


def _prediction_lines(prediction: Prediction, metrics: Mapping[str, float]) -> list[str]:
    """Say how many objects are of each class, have none or are unlike those trained on, and what it is worth."""
    n_good, n_failed = metrics["n_good"], metrics["n_failed"]
    lines = [f"{n_good} of {metrics['n_spectra']} spectra classified"]
    lines += [f"  class {name:<5d}{number:6d}{number / n_good:8.1%}" for name, number in prediction.counts().items()]
    if n_failed:
        have = "its spectrum has" if n_failed == 1 else "their spectra have"
        lines += [f"{n_failed} without a class: {have} no fit (column status)"]
        lines += [f"  {line}" for line in _failure_counts(prediction)]
    if len(prediction.unread):
        lines.append(f"{len(prediction.unread)} could not be read (column status)")
    return [
        *lines,
        "",
        *_unlike(prediction, metrics),
        "",
        *_prediction_scores(prediction, metrics),
        *_beside(metrics, prediction.trained.yardstick),
        *_followed(prediction),
    ]


def _unlike(prediction: Prediction, metrics: Mapping[str, float]) -> list[str]:
    """Count the objects that are unlike those trained on, by reason."""
    if prediction.classified.unlike is None:
        return ["Nothing is known of the training sample: this run was trained before that was kept with the model."]
    total = f"{metrics['n_unlike']} of {metrics['n_good']} are unlike the training sample (column unlike_training)"
    return [total, *(f"{count:7d}  {reason}" for reason, count in prediction.unlike_counts().most_common())]


def _prediction_scores(prediction: Prediction, metrics: Mapping[str, float]) -> list[str]:
    """Return the scores and what they are of, or why there are none."""
    if prediction.reference is None:
        return ["The dataset has no reference classes, so there are no scores."]
    if not prediction.trained.of_reference:
        return ["The classes are groups that a clusterer has found; they are not scored against reference classes."]
    if prediction.scores is None:
        return ["No object is of a reference class that the model knows, so there are no scores."]
    n_scored = metrics["n_scored"]
    rows = _scores_with_chance(f"{n_scored} objects, scored against the reference classes:", metrics)
    if {"accuracy_like", "accuracy_unlike"} <= metrics.keys():
        rows.append(
            f"Accuracy of those like the training sample {metrics['accuracy_like']:.3f}, of those unlike it "
            f"{metrics['accuracy_unlike']:.3f}."
        )
    if n_scored < metrics["n_good"]:
        rows.append(
            f"{metrics['n_good'] - n_scored} others have no reference class, or one that the model does not know."
        )
    if metrics.get("n_seen"):
        rows.append(
            f"{metrics['n_seen']} of the objects are those that the model was trained on: of others the scores say "
            "less than they seem to."
        )
    return rows


def _labels(reference: np.ndarray | None) -> str:
    """Return the word by which a training takes the classes of a sample, or groups where it has none."""
    from hiexp.spectra import UNKNOWN

    classes = set() if reference is None else set(reference) - {UNKNOWN}
    return f"n_classes={len(classes)}" if len(classes) > 1 else "labels=cluster"


def _in_how_long(metrics: Mapping[str, float]) -> str:
    if "fit_seconds" not in metrics:
        return "fitted (in an earlier run; cache=off fits them again)"
    return f"fitted in {metrics['fit_seconds']:.2f} s ({metrics['spectra_per_second']:.0f} spectra/s)"


def python_command() -> str:
    """Return what to type for this Python: ``python`` where that is the one, else its path."""
    found = shutil.which("python")
    if found and Path(found).parent.samefile(Path(sys.executable).parent):
        return "python"
    return shlex.quote(display_path(Path(sys.executable)))


def display_path(path: Path) -> str:
    """Return the path as short as it can be typed from here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _score_table(outcome: Outcome, metrics: Mapping[str, float], own: Sequence[str]) -> list[str]:
    if outcome.scores is None:
        return ["No reference classes for the test set, so there are no scores."]
    source = {"reference": "the reference classes", "clusterer": "the cluster assignments"}
    what = "The objects that it was trained on" if TRAINED_ON in metrics else "Test set"
    rows = _scores_with_chance(f"{what}, scored against {source[outcome.truth_name]}:", metrics, own)
    if TRAINED_ON in metrics:
        rows += ["These are no scores: they say whether it can learn by heart, and nothing of other objects."]
    if metrics["n_predicted_classes"] == 1:
        rows.append("The classifier predicts a single class for the whole test set.")
    return rows


def _scores_with_chance(title: str, metrics: Mapping[str, float], own: Sequence[str] = ()) -> list[str]:
    rows = [
        title,
        f"{'':26}{'score':>6}{'95 % interval':>17}{'chance':>9}{'chance':>10}{'p':>9}",
        f"{'':26}{'':6}{'':17}{'(mean)':>9}{'(95 %)':>10}",
    ]

    def by_chance(name: str) -> str:
        if f"p_{name}" not in metrics:
            return ""
        return f"{metrics[f'chance_{name}']:9.3f}{metrics[f'chance95_{name}']:10.3f}{metrics[f'p_{name}']:9.3f}"

    return rows + [
        f"{shown.title:26}{metrics[name]:6.{shown.digits}f}{_interval(metrics, name):>17}{by_chance(name)}".rstrip()
        for name, shown in (shown_in("run") | {name: metric(name) for name in own}).items()
        if name in metrics
    ]


def _interval(metrics: Mapping[str, float], name: str) -> str:
    """Return the interval of a score; nothing where there are too few objects to tell."""
    low, high = (metrics.get(f"{end}_{name}") for end in ("low", "high"))
    return "" if low is None else f"{low:.3f} - {high:.3f}"


def _beside(metrics: Mapping[str, float], rule: Thresholds | None) -> list[str]:
    """Return what yardsticks score, a rule among them, and by how much the classifier does better."""
    rows = []
    yardsticks = {
        "yardstick": f"{rule}, nothing learned",
        "learned_yardstick": "logistic regression of nine measures of asymmetry",
    }
    for name, title in yardsticks.items():
        known = {key: shown for key, shown in shown_in("yardstick").items() if f"{name}_{key}" in metrics}
        rows += [title] if known else []
        for key, shown in known.items():
            gain = f"{key}_minus_{name}"
            low, high = metrics[f"low_{gain}"], metrics[f"high_{gain}"]
            rows.append(
                f"  {shown.title:24}{metrics[f'{name}_{key}']:6.{shown.digits}f}"
                f"{_interval(metrics, f'{name}_{key}'):>17}"
                f"{metrics[gain]:+9.3f} {f'[{low:+.3f}, {high:+.3f}]':17}{metrics[f'p_{gain}']:8.3f}"
            )
    heading = f"{'The same objects by':26}{'score':>6}{'95 % interval':>17}  {'classifier minus that':25}{'p':>8}"
    return ["", heading, *rows] if rows else []


def _groups(metrics: Mapping[str, float]) -> list[str]:
    """Say what the clusterer's groups are worth, where there is one."""
    names = ("cluster_silhouette", "cluster_stability", "cluster_adjusted_rand")
    worth = ", ".join(f"{METRICS[name].title} {metrics[name]:.2f}" for name in names if name in metrics)
    lines = [f"groups       {metrics['cluster_n_groups']:.0f}: {worth}"] if worth else []
    if "cluster_tree" in metrics:
        lines.append(
            "measured     a tree of W50, S/N, flux and A_flux tells the groups of held-out objects with a balanced "
            f"accuracy of {metrics['cluster_tree']:.2f} (chance {metrics['chance_cluster_tree']:.2f})"
        )
        if groups_of_width(metrics):
            alone = metrics["cluster_tree_w50"]
            lines.append(f"             nearly all of that is in W50: a tree of W50 alone has {alone:.2f}")
    if "agreement" in metrics:
        chance = f" (kappa {metrics['agreement_kappa']:.2f})" if "agreement_kappa" in metrics else ""
        lines.append(
            f"agreement    {metrics['agreement']:.3f}{chance} of classifier and clusterer on the "
            f"{metrics['n_agreement']:.0f} held-out objects that neither was fitted on"
        )
    return ["", *lines] if lines else []


def _followed(outcome: Outcome | Prediction) -> list[str]:
    """Say which parameters the predicted classes depend on most."""
    strongest = outcome.dependence["epsilon2"].head(4)
    if strongest.empty:
        return []
    values = ", ".join(f"{name} {value:.2f}" for name, value in strongest.items())
    return ["", f"Dependence of classes on parameters (epsilon squared, 0 to 1): {values}: dependence.csv"]


def _failure_counts(fits: FitResult | Prediction) -> list[str]:
    """Count the reasons why objects have no fit, the most frequent first."""
    counts = fits.failures()["reason"].value_counts()
    lines = [f"{count:5d}  {reason}" for reason, count in counts.iloc[:REASONS].items()]
    rest = counts.iloc[REASONS:]
    where = table_name(SKIPPED_FILE, int(counts.sum()))
    return lines + ([f"{rest.sum():5d}  for {len(rest)} other reasons: {where}"] if len(rest) else [])


def _flag_counts(fit: FitResult) -> list[str]:
    """Return how many good fits have each flag, the most frequent first."""
    if "flags" not in fit.table:  # of a fit of somebody's own
        return []
    counts = Counter(
        flag for flags in fit.table.loc[fit.good, "flags"] for flag in str(flags or "").split(",") if flag
    )
    said = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    return [f"flags        {said}"] if said else []


def _asymmetric_fractions(fit: FitResult) -> list[str]:
    """Return the fractions of the sample above the limits of its posteriors, without noise and as measured."""
    lines = []
    for name, value in fit.sample.items():
        if name.startswith(FRACTION):
            measure, _, limit = name.removeprefix(FRACTION).rpartition("_above_")
            said = f"{measure} above {limit.replace('_', '.')}"
            interval = f"[{fit.sample[f'low_{name}']:.1%}, {fit.sample[f'high_{name}']:.1%}]"
            lines.append(f"{said:26}{value:10.1%}  {interval:16}{fit.sample[f'measured_{name}']:10.1%}")
    heading = f"{'Fraction of the sample':26}{'noise-free':>10}  {'95 % interval':16}{'measured':>10}"
    return ["", heading, *lines] if lines else []


def _median_table(fit: FitResult) -> list[str]:
    from hiexp.fitting.measurements import MEASUREMENTS

    good = fit.table.loc[fit.good, MEDIANS].dropna(axis="columns", how="all")
    if good.empty:
        return ["The fit measures no line."]
    quantiles = good.quantile([0.5, 0.16, 0.84])
    lines = [f"{'':10}{'median':>12}{'16 %':>12}{'84 %':>12}"]
    for name in good:
        # Four digits that count, and no exponent for velocities.
        values = "".join(f"{float(f'{value:.4g}'):12g}" for value in quantiles[name])
        lines.append(f"{name:10}{values}  {MEASUREMENTS[name].unit}".rstrip())
    return lines


def _places(cfg: DictConfig, folder: Path) -> list[str]:
    plots = folder / PLOTS_FOLDER
    pages = sorted((plots / PAGES_FOLDER).glob("*.pdf"))
    beside = {file.with_suffix(".pdf") for file in plots.glob("*.png")} & set(plots.glob("*.pdf"))
    groups = {
        "for a paper": sorted(folder.glob("table.*")),
        "pages": pages if len(pages) <= PAGES_SHOWN else [plots / PAGES_FOLDER],
        "pictures": sorted(file for form in ("png", "pdf") for file in plots.glob(f"*.{form}") if file not in beside),
    }

    def and_pdf(file: Path) -> str:
        return " and .pdf" if file.suffix == ".png" and file.with_suffix(".pdf") in beside else ""

    lines = [
        f"{name if place == 0 else '':13}{display_path(file)}{and_pdf(file)}"
        for name, files in groups.items()
        for place, file in enumerate(files)
    ]
    lines += [f"run folder   {display_path(folder)}", ""]
    tracking = instantiate(cfg.tracking)
    if tracking.deferred:
        root = "" if cfg.root == "." else f" {shlex.quote(f'root={quoted(cfg.root)}')}"
        return [*lines, f"send runs to the store:  {python_command()} -m hiexp.sync{root}"]
    ui = tracking.hint(python_command())
    return [*lines, f"compare runs in a browser:  {ui}"] if ui else lines


def _following(cfg: DictConfig, job: HydraConf) -> str:
    """Return the words of what to run next: the whole thing where this was a trial of it, else a sweep."""
    if any(word.startswith("+debug=") for word in job.overrides.task):
        return _words(job, [], without=["debug"])
    return f"-m {_words(job, _next_sweep(cfg, job))}"


def _next_sweep(cfg: DictConfig, job: HydraConf) -> list[str]:
    """Suggest a sweep over what most changes this run's answer, of what its stages read."""

    def reads(group: str, key: str) -> bool:
        return f"${{{key}}}" in OmegaConf.to_yaml(cfg[group], resolve=False)

    if job.runtime.choices["labels"] == "cluster":
        return [
            "n_classes=2,3,4,5" if reads("clusterer", "n_classes") else "clusterer=kmeans,gaussian_mixture,spectral"
        ]
    if job.runtime.choices["classifier"] == "cnn":
        sizes = (
            ["test_size=0.3,0.5,0.7"] if reads("evaluation", "test_size") and cfg.evaluation.split == "random" else []
        )
        return ["model=simple,medium,complex", *sizes]
    return ["classifier=knn,svm,random_forest"]


def _words(job: HydraConf, added: Sequence[str], without: Sequence[str] = ()) -> str:
    """Return what was typed, but keys `without`, with the words `added` in place of those about the same."""
    changed = {word.partition("=")[0] for word in added} | {*without}

    def stays(word: str) -> bool:
        key = word.lstrip("+~").partition("=")[0]  # model.filters says nothing of another model
        return key not in changed and key.partition(".")[0] not in changed

    of_hydra = words_typed(job.overrides.hydra)
    typed = [*words_typed(job.overrides.task), *(word for word in of_hydra if word.startswith("hydra.searchpath="))]
    return shlex.join([*(word for word in typed if stays(word)), *added])
