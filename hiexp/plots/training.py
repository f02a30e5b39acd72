"""The course of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hiexp.plots.figure import caption, panels

PARTS: dict[str, dict[str, Any]] = {
    "train": {"color": "C0", "linestyle": "-", "marker": "o"},
    "validation": {"color": "C1", "linestyle": "--", "marker": "s", "markerfacecolor": "white"},
}
NAMES = {"train": "training", "validation": "validation"}
SIZE, GAP = (2.7, 1.15), (0, 0.12)  # of a panel and between two, inches
TICKS = 4  # intervals between them, at most
FEW = 20  # marks of a line, at most


def plot_training(history: Mapping[str, Sequence[float]], file: Path | None = None) -> Figure:
    """Draw each quantity recorded an epoch: ``train_loss`` and ``validation_loss`` in the panel "loss".

    Parameters
    ----------
    history : mapping of str to sequence of float
        One value an epoch.
    file : Path, optional
        The PNG to write.

    Returns
    -------
    Figure
        Shown by a notebook as it is written.
    """
    quantities: dict[str, dict[str, Sequence[float]]] = {}
    for name, values in history.items():
        part, _, quantity = name.partition("_")
        place = (quantity, part) if part in PARTS else (name, "")
        quantities.setdefault(place[0], {})[place[1]] = values
    epochs = max(map(len, history.values()))
    with panels(file, len(quantities), 1, SIZE, left=0.6, bottom=0.38, top=0.45, gap=GAP) as (figure, drawn):
        for panel in drawn[1:]:
            panel.sharex(drawn[0])
        for panel, (quantity, parts) in zip(drawn, quantities.items(), strict=True):
            for part, values in parts.items():
                style = PARTS.get(part, PARTS["train"])
                every, label = -(-len(values) // FEW), NAMES.get(part, part)
                panel.plot(range(1, len(values) + 1), values, ms=3, lw=1, markevery=every, label=label, **style)
            panel.set_ylabel(quantity.replace("_", " "))
            panel.locator_params(axis="y", nbins=TICKS)
            panel.grid(color="0.9")
            panel.tick_params(labelbottom=panel is drawn[-1])
        handles, labels = max((panel.get_legend_handles_labels() for panel in drawn), key=lambda shown: len(shown[1]))
        if labels:
            below = (0.5, 1 - 0.18 / figure.get_figheight())  # the title
            figure.legend(handles, labels, loc="upper center", ncols=len(PARTS), bbox_to_anchor=below)
        figure.align_ylabels()
        drawn[-1].xaxis.set_major_locator(MaxNLocator(TICKS, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
        drawn[-1].set(xlabel="epoch", xlim=(1 - 0.03 * epochs, 1.03 * epochs))
        caption(figure, "Course of the training")
    return figure
