"""The course of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hiexp.plots.canvas import panels, write

PARTS = ("train", "validation")  # of a sample


def plot_training(history: Mapping[str, Sequence[float]], file: Path) -> None:
    """Draw each quantity recorded an epoch: ``train_loss`` and ``validation_loss`` in the panel "loss".

    Parameters
    ----------
    history : mapping of str to sequence of float
        One value an epoch.
    file : Path
        The PNG to write.
    """
    quantities: dict[str, dict[str, Sequence[float]]] = {}
    for name, values in history.items():
        part, _, quantity = name.partition("_")
        place = (quantity, part) if part in PARTS else (name, "")
        quantities.setdefault(place[0], {})[place[1]] = values
    figure, axes = panels(len(quantities), 1, (5.2, 1.9), bottom=0.55, top=0.15, gap=(0, 0.2))
    for panel, (quantity, parts) in zip(axes, quantities.items(), strict=True):
        for part, values in parts.items():
            panel.plot(range(1, len(values) + 1), values, marker="." if len(values) < 20 else None, label=part)
        panel.set_ylabel(quantity.replace("_", " "))
        panel.grid(alpha=0.3)
        panel.tick_params(labelbottom=panel is axes[-1])
        if len(parts) > 1:
            panel.legend()
    axes[-1].set_xlabel("epoch")
    write(figure, file)
