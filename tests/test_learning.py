"""The learning curve: where it is drawn, and what."""

import numpy as np
import pandas as pd
import pytest

from hiexp.plots import learning, plot_learning_curve


def runs(sizes, words=""):
    rows = [
        {"settings": f"{words} test_size={size} random_state={state}".strip(), "n_training": round(100 * (1 - size))}
        for size in sizes
        for state in (1, 2)
    ]
    numbers = {f"{kind}{name}": 0.5 for kind in ("", "chance_", "chance95_") for name in learning.SCORES}
    table = pd.DataFrame(rows).assign(**numbers)
    table["balanced_accuracy"] = table["n_training"] / 100 + np.tile([0, 0.02], len(sizes))
    return table


def test_means_over_splits_are_drawn_over_the_objects_learned_from(monkeypatch):
    figures = []
    monkeypatch.setattr(learning, "write", lambda figure, file: figures.append(figure))
    table = pd.concat([runs((0.8, 0.2, 0.5), "classifier=knn"), runs((0.2, 0.5, 0.8), "classifier=svm")])
    plot_learning_curve(table.sample(frac=1, random_state=0), "unused")
    panel = figures[0].axes[0]
    curves = {line.get_label(): line for line in panel.lines if line.get_label().startswith("classifier")}
    assert sorted(curves) == ["classifier=knn", "classifier=svm"]
    for line in curves.values():
        assert line.get_xdata().tolist() == [20, 50, 80]
        assert line.get_ydata() == pytest.approx([0.21, 0.51, 0.81])


@pytest.mark.parametrize(
    "table",
    [runs((0.3, 0.5)), runs((0.3, 0.5, 0.7)).assign(settings="model=simple"), pd.DataFrame({"settings": ["a"]})],
)
def test_no_curve_of_fewer_than_three_sizes(table, tmp_path):
    plot_learning_curve(table, tmp_path / "curve.png")
    assert not list(tmp_path.iterdir())


def test_the_preset(hiexp_train, tmp_path):
    words = ["dataset.n_galaxies=60", "fit=none", "classifier=knn", "random_state=1", "test_size=0.8,0.5,0.3"]
    hiexp_train("+experiment=learning_curve", "tracking=none", *words)
    (picture,) = tmp_path.glob("runs/*/*/learning_curve.png")
    assert picture.stat().st_size > 10_000
