"""How scores grow with the number of objects to learn from."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from hiexp.plots.canvas import new_figure, write

SIZES = 3  # a curve needs as many
SCORES = ("balanced_accuracy", "success_rate")
VARIED = ("test_size=", "random_state=")


def plot_learning_curve(runs: pd.DataFrame, file: Path) -> None:
    """Draw scores over the number of objects learned from; nothing where no three test sizes were tried.

    A line for each setting that differs beside ``test_size`` and ``random_state``: the mean over the splits; points
    are single runs. Dashed: the mean under permuted classes, and the value that the best 5 % of permutations reach.

    Parameters
    ----------
    runs : DataFrame
        A row a run: ``settings`` in words, ``n_training`` and the metrics of `hiexp.evaluation.Scores.metrics`.
    file : Path
        The PNG to write.
    """
    if not {"n_training", *SCORES} <= set(runs) or not runs["settings"].str.contains(VARIED[0]).all():
        return
    others = runs["settings"].map(lambda words: " ".join(w for w in words.split() if not w.startswith(VARIED)))
    sizes = runs["settings"].str.extract(rf"{VARIED[0]}(\S+)")[0]
    curves = [
        (name, rows)
        for name, rows in runs.assign(size=sizes).dropna(subset=SCORES).groupby(others)
        if rows["size"].nunique() >= SIZES
    ]
    if not curves:
        return
    figure = new_figure(10, 4.2)
    for panel, score in zip(figure.subplots(1, 2, sharex=True), SCORES, strict=True):
        for number, (name, rows) in enumerate(curves):
            colour = f"C{number % 10}"
            mean = rows.groupby("size")[["n_training", score, f"chance_{score}", f"chance95_{score}"]].mean()
            mean = mean.sort_values("n_training")
            panel.plot(rows["n_training"], rows[score], ".", color=colour, alpha=0.4)
            panel.plot(mean["n_training"], mean[score], color=colour, label=name or "score")
            for chance, style in ((f"chance_{score}", "--"), (f"chance95_{score}", ":")):
                panel.plot(mean["n_training"], mean[chance], style, color=colour, alpha=0.7, lw=1)
        ticks = sorted({round(number) for _, rows in curves for number in rows["n_training"]})
        panel.set_xscale("log")
        panel.minorticks_off()
        panel.set_xticks(ticks, ticks)
        panel.set_xlabel("objects to learn from")
        panel.set_ylabel(score.replace("_", " "))
        panel.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8, title="dashed: chance; dotted: its 95th percentile", title_fontsize=8)
    write(figure, file)
