"""The course of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hiexp.plots.canvas import panels, write


def plot_training(history: Mapping[str, Sequence[float]], file: Path) -> None:
    """Draw each quantity recorded an epoch (``train_loss``, ...) in a panel of its own.

    Parameters
    ----------
    history : mapping of str to sequence of float
        One value an epoch.
    file : Path
        The PNG to write.
    """
    figure, axes = panels(len(history), 1, (5.2, 1.9), bottom=0.55, top=0.15, gap=(0, 0.2))
    for panel, (name, values) in zip(axes, history.items(), strict=True):
        panel.plot(range(1, len(values) + 1), values, marker="." if len(values) < 20 else None)
        panel.set_ylabel(name.replace("_", " "))
        panel.grid(alpha=0.3)
        panel.tick_params(labelbottom=panel is axes[-1])
    axes[-1].set_xlabel("epoch")
    write(figure, file)
