"""The course of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hiexp.plots.figure import caption, panels

PARTS = {"train": "C0", "validation": "C1"}  # colours of parts of a sample
SIZE, GAP = (5.2, 1.9), (0, 0.25)  # of a panel and between two, inches
TICKS = 5  # intervals between them, at most
FEW = 20  # epochs, up to which each has a dot


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
    with panels(file, len(quantities), 1, SIZE, left=0.9, bottom=0.55, top=0.4, gap=GAP) as (figure, drawn):
        for panel in drawn[1:]:
            panel.sharex(drawn[0])
        for panel, (quantity, parts) in zip(drawn, quantities.items(), strict=True):
            for part, values in parts.items():
                marker = "." if len(values) < FEW else None
                panel.plot(range(1, len(values) + 1), values, color=PARTS.get(part, "C0"), marker=marker, label=part)
            panel.set_ylabel(quantity.replace("_", " "))
            panel.locator_params(axis="y", nbins=TICKS)
            panel.grid(color="0.9")
            panel.tick_params(labelbottom=panel is drawn[-1])
        divided = [panel for panel in drawn if len(panel.lines) > 1]
        if divided:
            figure.legend(*divided[0].get_legend_handles_labels(), loc="upper right", ncols=len(PARTS))
        figure.align_ylabels()
        drawn[-1].xaxis.set_major_locator(MaxNLocator(TICKS, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
        drawn[-1].set(xlabel="epoch", xlim=(1 - 0.03 * epochs, 1.03 * epochs))
        caption(figure, "Course of the training")
    return figure
