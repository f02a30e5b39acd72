"""The learning curve: where it is drawn, and what."""

import itertools

import pytest
from helpers.sweeps import write_sweep
from matplotlib.figure import Figure

from hiexp.comparison.png import draw_learning_curve
from hiexp.comparison.runs import read_sweep

STATES = [1, 2]


def sweep(folder, grid):
    """Return a sweep whose balanced accuracy is the share of training objects, a little more in every other split."""
    scores = {}
    for job, values in enumerate(itertools.product(*grid.values())):
        settings = dict(zip(grid, values, strict=True))
        n_training = round(100 * (1 - settings.get("test_size", 0.5)))
        score = n_training / 100 + (0.02 if settings["random_state"] == 2 else 0)
        scores[job] = {"n_training": n_training, "balanced_accuracy": score}
    return read_sweep(write_sweep(folder, grid, scores)).ranked()


def test_means_over_splits_are_drawn_over_the_training_objects(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    grid = {"feature": ["raw", "image2d"], "test_size": [0.8, 0.2, 0.5], "random_state": STATES}
    draw_learning_curve(sweep(tmp_path, grid), "unused")
    axes = figures[0].axes[0]
    curves = {line.get_label(): line for line in axes.lines if line.get_label().startswith("feature")}
    assert sorted(curves) == ["feature=image2d", "feature=raw"]
    for line in curves.values():
        assert line.get_xdata().tolist() == [20, 50, 80]
        assert line.get_ydata() == pytest.approx([0.21, 0.51, 0.81])


@pytest.mark.parametrize(
    "grid",
    [{"test_size": [0.3, 0.5], "random_state": STATES}, {"model": ["simple"], "random_state": STATES}],
)
def test_no_curve_of_fewer_than_three_sizes(grid, tmp_path):
    draw_learning_curve(sweep(tmp_path / "sweep", grid), tmp_path / "curve.png")
    assert not (tmp_path / "curve.png").exists()


@pytest.mark.slow
def test_the_preset(hiexp_train, tmp_path):
    words = ["dataset.n_galaxies=60", "fit=none", "classifier=knn", "random_state=1", "test_size=0.8,0.5,0.3"]
    hiexp_train("+experiment=learning_curve", "tracking=none", *words)
    (picture,) = tmp_path.glob("runs/*/*/learning_curve.png")
    assert picture.stat().st_size > 10_000
