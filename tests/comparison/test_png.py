"""The pictures of a sweep: what is drawn, and that any number of configurations with odd names is legible."""

import math

import numpy as np
import pytest
from helpers.pictures import ODD_NAMES, assert_legible

from hiexp.comparison.png import draw_learning_curve, draw_scores
from hiexp.comparison.runs import Comparison, Run

pytestmark = pytest.mark.filterwarnings("error")

VERDICT = {
    "measure": "success_rate",
    "configurations": [],
    "best": {"job": "0"},
    "maximum": {"mean": 0.5, "p05": 0.4, "p50": 0.5, "p95": 0.6},
}


def sweep(settings, scores, verdict=None, sizes=None):
    """Return a comparison of runs with these settings and scores, ranked."""
    runs = []
    for place, (words, score) in enumerate(zip(settings, scores, strict=True)):
        numbers = {"n_training": sizes[place] if sizes else 100, "n_predicted_classes": 3}
        for name in ("success_rate", "balanced_accuracy"):
            numbers |= {name: score, f"low_{name}": score - 0.1, f"high_{name}": score + 0.05}
            numbers |= {f"chance_{name}": 0.45, f"chance95_{name}": 0.5}
        runs.append(Run(str(place), words, numbers, "", "done", "", "", lambda _: None))
    return Comparison("sweep", "", tuple(runs), verdict).ranked("success_rate")


@pytest.mark.parametrize("n", [1, 2, 12, 130])
def test_any_sweep_is_legible(tmp_path, written, n):
    scores = np.linspace(0.4, 0.9, n)
    settings = [{"model": ODD_NAMES[job % 5], "test_size": str(job)} for job in range(n)]
    draw_scores(sweep(settings, scores, VERDICT), tmp_path / "sweep.png")
    draw_scores(sweep(settings, np.full(n, math.nan)), tmp_path / "sweep.png")
    assert_legible(written)


@pytest.mark.parametrize("n_curves", [1, 2, 12])
def test_any_learning_curves_are_legible(tmp_path, written, n_curves):
    shares = np.linspace(0.05, 0.95, 12)  # the larger ones close to one another on a logarithmic axis
    curves = [(f"{ODD_NAMES[curve % 5]}{curve}", share) for curve in range(n_curves) for share in shares]
    settings = [{"classifier": name, "test_size": str(share)} for name, share in curves]
    sizes = [round(400 * (1 - share)) for _, share in curves]
    draw_learning_curve(sweep(settings, np.full(len(curves), 0.5), None, sizes), tmp_path / "learning_curve.png")
    assert_legible(written)


def test_the_best_configuration_stands_on_top(drawn):
    settings = [{"model": str(job % 2), "seed": str(job)} for job in range(12)]
    draw_scores(sweep(settings, np.linspace(0.4, 0.9, 12), VERDICT), "unused")
    (axes,) = drawn[0].axes
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names[0] == "model=1 seed=11"
    assert axes.yaxis_inverted()
    widths = [bar.get_width() for bar in axes.patches if bar.get_height() == 0.8 and np.isfinite(bar.get_width())]
    np.testing.assert_allclose(widths[-12:], np.linspace(0.9, 0.4, 12))
    legend = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert {"model=0", "model=1", "95 % interval", "best of 12 by chance, 5-95 %"} < set(legend)
