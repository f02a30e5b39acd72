"""The course of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hiexp.plots.canvas import new_figure, write


def plot_training(history: Mapping[str, Sequence[float]], file: Path) -> None:
    """Draw each quantity recorded an epoch (``train_loss``, ...) in a panel of its own.

    Parameters
    ----------
    history : mapping of str to sequence of float
        One value an epoch.
    file : Path
        The PNG to write.
    """
    figure = new_figure(6, 2.2 * len(history) + 0.4)
    panels = figure.subplots(len(history), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (name, values) in zip(panels, history.items(), strict=True):
        panel.plot(range(1, len(values) + 1), values, marker="." if len(values) < 20 else None)
        panel.set_ylabel(name.replace("_", " "))
        panel.grid(alpha=0.3)
    panels[-1].set_xlabel("epoch")
    write(figure, file)
