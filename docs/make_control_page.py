"""Measure what the published protocol yields by chance and write docs/control.md with its picture.

    python docs/make_control_page.py SWEEP_OF_CNN54 SWEEP_OF_CNN54_CONTROL ...

from the repository's root; about 5 minutes of one core. The folders ``runs/<date>/<time>_sweep`` are those of the
networks, which are not trained here.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from matplotlib.figure import Figure
from scipy.stats import kstest
from sklearn.model_selection import StratifiedShuffleSplit
from tqdm import tqdm

from hiexp.comparison.controls import against_controls
from hiexp.comparison.runs import read_sweep
from hiexp.comparison.text import control_text
from hiexp.configs import CONFIGS
from hiexp.evaluation.confusion import success_rate
from hiexp.evaluation.selection import SweepVerdict, judge_sweep, p_values
from hiexp.hydra_versions import VERSION_BASE
from hiexp.labels import RandomLabels, ReferenceLabels
from hiexp.run.pipeline import extract, learn, learned_from, predict

DOCS = Path(__file__).resolve().parent
SIZES, STATES = (0.3, 0.5, 0.7), (42, 99)
FEATURES = (["feature=raw", "feature.n_samples=64"], ["feature=image2d", "feature.size=16"], ["feature=asymmetry"])
CLASSIFIERS = (
    ["classifier=knn"],
    ["classifier=svm"],
    ["classifier=random_forest", "classifier.n_estimators=10", "classifier.n_jobs=null"],
)
CONFIGURATIONS = 54
REPEATS, DRAWS, COINS = 38, 199, 2000
PUBLISHED = 0.6333
SITUATIONS = {
    "nothing to learn": "classes shuffled among the galaxies, training labels at random",
    "nothing to learn, honest": "classes shuffled among the galaxies, training labels the shuffled classes",
    "control": "classes as they are, training labels at random: the published protocol",
    "honest": "classes as they are, training labels the classes",
}


PAGE = """\
# What a success rate is worth

Written by `python docs/make_control_page.py`, which computes every number below.

The published success rate of 0.6333 (Jaimes-Illanes et al. 2025, arXiv:2501.11657) is the best of 54 networks, each
scored by the best of the 6 relabelings of three classes, on the objects held out. The labels the networks were
trained on were drawn at random. hiexp has that protocol as a control:

```
python -m hiexp.train +experiment=cnn54_control      # the study's networks on disc images, training labels at random
python -m hiexp.train +experiment=quick54_control    # 54 classifiers that train in a second each, on the same splits
python -m hiexp.train +experiment=quick54            # the same 54 with honest labels
```

## Guesses

A maximum is high by itself. Here nothing is learned at all: every object held out gets a class by lot. Success rate
of one set of guesses, its mean and the value that 5 % exceed, on test sets of 0.3, 0.5 and 0.7 of a sample; and of
the best of 54 (mean; 5 to 95 %):

| sample and its classes | guessed | test sets | 0.3 | 0.5 | 0.7 | best of 54 |
|---|---|---|---|---|---|---|
{coins}

The smaller the test set, the higher the maximum. 0.6333 is no multiple of 1/96, the test set that 0.3 of 318
objects make; it is 19 of 30, for one, what 5 % of searches by lot reach on a sample of 100 (last row). And where
one class has {majority:.0%} of the objects, as in `mock_cig`, whoever puts everything into it has a success rate of
{majority:.3f}: compare balanced accuracies where classes are unequal.

## Classifiers

Guesses are not what the control does. A classifier that learns random labels still predicts the same for profiles
that look the same, and some of the 54 put nearly everything into one class. Below are {repeats} repeated sweeps of
54 quick configurations (three features x k nearest neighbours, support vector machine and a forest of 10 trees x
the study's six splits) on the {n} galaxies of `mock_cig` ({counts} in the three classes) in each of four
situations. "Chance" is the mean of the sweep's maximum under permuted classes, "corrected" the best score with the
choice of configuration and relabeling taken out, and the last column the share of sweeps whose best has a
family-wise p of at most 0.05, which is 5 % if p is what it should be.

| classes and training labels | sweeps | success rate of the best (range) | chance | corrected | p <= 0.05 |
|---|---|---|---|---|---|
{sweeps}

![Best scores and p-values of repeated sweeps](control.png)

**Where the classes have nothing to do with the profiles, p is uniform or larger**: the first two rows. With random
labels the null hypothesis of the permutations is then true, and p is uniform (Kolmogorov-Smirnov test:
{uniform:.2f}). With honest ones it is true but for one thing, an object held out by one configuration
trains another, and p is too large if anything ({mean_honest:.2f} on average instead of 0.50; the same test:
{uniform_honest:.2f}). The permutations know of all 54 configurations at once, so the best of them is not significant
by having been chosen.

**In the control on a sample that has classes, it is not**: {small:.0%} of the controls have p <= 0.05, although
their labels are noise. That is no error of p. It answers whether the predictions are independent of the classes,
and they are not: galaxies of one class look alike, so the classifier puts them together, under a name that is
noise, and the success rate looks for the best names. The best of 54 then scores {low:.3f} to {high:.3f}, {mean:.3f}
on average. Scores that do not rename classes are not safe either where the best of 54 is taken: in
{balanced_small:.0%} of the controls the best balanced accuracy ({balanced_low:.3f} to {balanced_high:.3f}) has p <=
0.05, since among 54 some have the names right by luck.

What to read from it:

- A small family-wise p says that predictions and classes are related, by whatever way. It does not say that the
  training labels had any part in it.
- Whether learning did anything is the distance to the control: here {honest:.3f} with honest labels against
  {low:.3f} to {high:.3f}, in balanced accuracy {balanced_honest:.3f} against {balanced_low:.3f} to
  {balanced_high:.3f}. Run repeated controls beside every sweep that you rank by success
  rate; their p-value is below.
- A success rate from random labels, 0.6333 or any other, measures how the profiles cluster, how unequal the classes
  are and how often one has looked. It is no evidence that a network has learned classes.

## The p-value of learning

Repeated controls differ in nothing but what is drawn, so another one has any rank among them with the same
probability. With B of them,

p = (1 + controls whose best is as good as the sweep's) / (1 + B)

is uniform over repeated controls, whatever the sample, the classifiers and the measure (a test simulates it), up to
its steps of 1/(B + 1) and to ties, which make it larger. For the honest sweep above, {repeats} controls give
p = {p:.3f} by success rate and {balanced_p:.3f} by balanced accuracy; they can give no less than {smallest:.3f}, and
0.05 takes 19. Every `seed` draws other labels on the same splits, so one command makes all controls and one
compares:

```
python -m hiexp.train +experiment=quick54
python -m hiexp.train +experiment=quick54_control 'seed=range(1,20)'     # 19 controls: 19 times 54 jobs
python -m hiexp.compare --sweep FOLDER --control FOLDER_OF_CONTROLS      # the folders that the two have named
```

`--control` takes any number of sweeps, or the name of their MLflow experiment, `quick54_control` here.
`--sort balanced_accuracy` compares by another measure, and a filter such as `test_size=0.3` takes those
configurations alone, of the sweep and of the controls. What is no control of the sweep is refused: other settings or
another sample, labels that are not random, the same labels twice.

What it tests is whether the labels teach more than labels that are drawn from all classes equally often. Where
classes are unequal, true labels teach how frequent each is, too, and the success rate rewards that: look at balanced
accuracy as well.

## Networks

The published protocol with the study's networks on disc images of the same galaxies takes minutes a sweep:

```
python -m hiexp.train +experiment=cnn54
python -m hiexp.train +experiment=cnn54_control seed={seeds}
python -m hiexp.compare --sweep FOLDER --control FOLDER_OF_CONTROLS
```

The best of its 54 networks, of the controls mean and range:

| classes and training labels | sweeps | success rate | balanced accuracy |
|---|---|---|---|
{networks}

{verdicts}

On another sample than this the numbers are others; the commands above give yours.
"""


def splits(reference: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the six divisions of the published grid."""
    for size in SIZES:
        for state in STATES:
            splitter = StratifiedShuffleSplit(1, test_size=size, random_state=state)
            yield from splitter.split(np.zeros((len(reference), 1)), reference)


def coins(counts: np.ndarray, odds: np.ndarray, rng: np.random.Generator) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Return success rates of guesses: by size of the test set, and of the best of 54 configurations.

    Parameters
    ----------
    counts : ndarray of int, shape (K,)
        Objects of each class.
    odds : ndarray, shape (K,)
        Of each guess.
    rng : Generator
        Of the guesses.
    """
    reference = np.repeat(np.arange(counts.size), counts)
    rates: dict[int, list[np.ndarray]] = {}
    for _, test in splits(reference):
        guesses = [rng.multinomial(n, odds, size=(COINS, 9)) for n in np.bincount(reference[test])]
        rates.setdefault(len(test), []).append(success_rate(np.stack(guesses, axis=2)))
    single = {size: np.concatenate(found).ravel() for size, found in rates.items()}
    best = np.concatenate([part for found in rates.values() for part in found], axis=1).max(axis=1)
    return single, best


class Grid:
    """54 configurations of quick classifiers on one sample; what needs no training is computed once."""

    def __init__(self) -> None:
        with initialize_config_dir(str(CONFIGS.absolute()), **VERSION_BASE):
            base = compose("train")
            features = [compose("train", words).feature for words in FEATURES]
            classifiers = [compose("train", words).classifier for words in CLASSIFIERS]
        self.transformers = [partial(instantiate, cfg, _convert_="all") for cfg in features]
        self.classifiers = [partial(instantiate, cfg, _convert_="all") for cfg in classifiers]
        spectra = instantiate(base.dataset)()
        fit = instantiate(base.fit)(spectra)
        self.profiles, self.reference = fit.profiles[fit.good], spectra.reference[fit.good]
        self.ids = spectra.ids[fit.good]
        nobody = np.arange(2)
        self.known = {
            number: extract(transformer, self.profiles, nobody, self.reference)
            for number, make in enumerate(self.transformers)
            if not learned_from(transformer := make(), nobody, self.reference)
        }

    def predictions(self, reference: np.ndarray, labels: ReferenceLabels) -> dict[str, pd.DataFrame]:
        """Train all configurations and return what each predicts, as its ``predictions.csv``."""
        tables = {}
        for train, test in splits(reference):
            assigned = labels.assign(self.profiles, reference, np.sort(train))
            training, classes = assigned.training, assigned.classes
            part = np.full(len(reference), "train", dtype=object)
            part[test] = "test"
            for number, make in enumerate(self.transformers):
                features = self.known.get(number) or extract(make(), self.profiles, training, classes)
                for classifier in self.classifiers:
                    predicted, _ = predict(learn(features, classifier(), training, classes), features)
                    tables[str(len(tables))] = pd.DataFrame(
                        {"id": self.ids, "split": part, "reference": reference, "predicted": predicted}
                    )
        return tables


def repeated(grid: Grid) -> Iterator[dict[str, object]]:
    """Run every situation many times and yield the numbers of every sweep.

    The honest one once: nothing in it is drawn.
    """
    for repeat in tqdm(range(REPEATS), desc="controls"):
        shuffled = np.random.default_rng([repeat, 1]).permutation(grid.reference)
        for situation in SITUATIONS if repeat == 0 else list(SITUATIONS)[:-1]:
            reference = shuffled if situation.startswith("nothing") else grid.reference
            labels = ReferenceLabels(3) if situation.endswith("honest") else RandomLabels(3, seed=repeat)
            predictions = grid.predictions(reference, labels)
            for measure in ("success_rate", *(["balanced_accuracy"] if reference is grid.reference else [])):
                verdict = judge_sweep(predictions, measure, DRAWS, seed=repeat)
                yield {"situation": situation, "measure": measure} | row(verdict)


def row(verdict: SweepVerdict) -> dict[str, float]:
    """Return the numbers of a sweep that the page compares."""
    return {**verdict.best, "chance_mean": verdict.maximum["mean"], "chance_p95": verdict.maximum["p95"]}


def coin_table(counts: np.ndarray) -> list[str]:
    """Return lines of the page for guesses of two kinds on a sample with so many objects of each class."""
    lines = []
    kinds = {"all classes as often": np.full(counts.size, 1 / counts.size)}
    if np.ptp(counts) > 1:
        kinds["as often as they are"] = counts / counts.sum()
    for name, odds in kinds.items():
        single, best = coins(counts, odds, np.random.default_rng(0))
        cells = [f"{rates.mean():.3f} / {np.percentile(rates, 95):.3f}" for rates in single.values()]
        low, high = np.percentile(best, [5, 95])
        sizes = ", ".join(map(str, single))
        head = f"{counts.sum()}: {' + '.join(map(str, counts))} | {name} | {sizes}"
        lines.append(f"| {head} | {' | '.join(cells)} | {best.mean():.3f} ({low:.3f} - {high:.3f}) |")
    return lines


def sweep_table(sweeps: pd.DataFrame) -> list[str]:
    """Return a line of the page for each situation: what its best of 54 scores, and what the verdict makes of it."""
    lines = []
    for situation, words in SITUATIONS.items():
        found = sweeps[(sweeps["situation"] == situation) & (sweeps["measure"] == "success_rate")]
        score = f"{found['score'].mean():.3f}"
        if len(found) > 1:
            score += f" ({found['score'].min():.3f} - {found['score'].max():.3f})"
        lines.append(
            f"| *{situation}*: {words} | {len(found)} | {score} | {found['chance_mean'].mean():.3f} | "
            f"{found['corrected'].mean():.3f} | {np.mean(found['p_family'] <= 0.05):.0%} |"
        )
    return lines


def network_table(honest: Path, controls: list[Path]) -> dict[str, object]:
    """Return what the page says of sweeps of networks."""
    measures = ("success_rate", "balanced_accuracy")
    repeats = [read_sweep(folder) for folder in controls]
    found = [against_controls(read_sweep(honest).ranked(measure), repeats) for measure in measures]
    drawn = [list(each.controls.scores.values()) for each in found]
    control = [f"{np.mean(scores):.3f} ({min(scores):.3f} - {max(scores):.3f})" for scores in drawn]
    honest_scores = [f"{each.controls.score:.3f}" for each in found]
    return {
        "seeds": ",".join(sorted(found[0].controls.scores)),
        "networks": f"| *control*: {SITUATIONS['control']} | {len(drawn[0])} | {' | '.join(control)} |\n"
        f"| *honest*: {SITUATIONS['honest']} | 1 | {' | '.join(honest_scores)} |",
        "verdicts": "\n\n".join(textwrap.fill(control_text(each), 118) for each in found),
    }


def draw(sweeps: pd.DataFrame, majority: float, file: Path) -> None:
    """Draw the best scores of each situation, and how often p-values are below each level."""
    figure = Figure(figsize=(11, 4.2), dpi=120, layout="constrained")
    scores, levels = figure.subplots(1, 2)
    rates = sweeps[sweeps["measure"] == "success_rate"]
    bins = np.arange(0.57, 0.9, 0.01)
    for number, situation in enumerate(SITUATIONS):
        found = rates[rates["situation"] == situation]
        if len(found) == 1:
            scores.axvline(found["score"].iloc[0], color=f"C{number}", lw=2, label=situation)
            continue
        scores.hist(found["score"], bins, alpha=0.6, color=f"C{number}", label=situation)
        levels.step(
            np.sort(found["p_family"]),
            np.arange(1, len(found) + 1) / len(found),
            where="post",
            color=f"C{number}",
            label=situation,
        )
    scores.axvline(majority, color="0.3", ls=":", label="all of one class")
    scores.axvline(PUBLISHED, color="0.3", ls="--", label="published, another sample")
    scores.set_xlabel("success rate of the best of 54")
    scores.set_ylabel("sweeps")
    scores.legend(fontsize=8)
    levels.plot([0, 1], [0, 1], color="0.5", lw=1)
    levels.set_xlabel("p of the sweep's best")
    levels.set_ylabel("share of sweeps with a smaller p")
    levels.legend(fontsize=8)
    figure.savefig(file)


def main(honest: Path, *controls: Path) -> None:
    """Write page and picture."""
    networks, grid = network_table(honest, list(controls)), Grid()
    counts = np.unique(grid.reference, return_counts=True)[1]
    write_page(counts, pd.DataFrame(repeated(grid)), networks)


def write_page(counts: np.ndarray, sweeps: pd.DataFrame, networks: dict[str, object]) -> None:
    """Write both from the classes of the sample and what `repeated` and `network_table` have found."""
    majority = counts.max() / counts.sum()
    draw(sweeps, majority, DOCS / "control.png")
    found = dict(iter(sweeps.groupby(["situation", "measure"])))
    control, balanced = found["control", "success_rate"], found["control", "balanced_accuracy"]
    honest, balanced_honest = (
        found["honest", name]["score"].iloc[0] for name in ("success_rate", "balanced_accuracy")
    )
    page = PAGE.format(
        n=counts.sum(),
        counts=", ".join(map(str, counts)),
        majority=majority,
        coins="\n".join([*coin_table(counts), *coin_table(np.array([34, 33, 33]))]),
        sweeps="\n".join(sweep_table(sweeps)),
        repeats=len(control),
        uniform=kstest(found["nothing to learn", "success_rate"]["p_family"], "uniform").pvalue,
        uniform_honest=kstest(found["nothing to learn, honest", "success_rate"]["p_family"], "uniform").pvalue,
        mean_honest=found["nothing to learn, honest", "success_rate"]["p_family"].mean(),
        low=control["score"].min(),
        high=control["score"].max(),
        mean=control["score"].mean(),
        honest=honest,
        p=p_values(control[["score"]].to_numpy(), honest)[0],
        balanced_p=p_values(balanced[["score"]].to_numpy(), balanced_honest)[0],
        smallest=1 / (1 + len(control)),
        small=np.mean(control["p_family"] <= 0.05),
        balanced_small=np.mean(balanced["p_family"] <= 0.05),
        balanced_low=balanced["score"].min(),
        balanced_high=balanced["score"].max(),
        balanced_honest=balanced_honest,
        **networks,
    )
    (DOCS / "control.md").write_text(page)


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:]))
