"""The course of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hiexp.plots.canvas import legend, write
from hiexp.plots.panel import limits, panels

PARTS = {"train": "C0", "validation": "C1"}  # colours of parts of a sample
FEW = 20  # epochs, up to which each has a dot


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
    divided = {part: PARTS[part] for parts in quantities.values() if len(parts) > 1 for part in parts}
    figure, drawn = panels(len(quantities), 1, (5.2, 1.9), bottom=0.55, top=0.35 if divided else 0.15, gap=(0, 0.2))
    epochs = max(len(values) for values in history.values())
    for panel, (quantity, parts) in zip(drawn, quantities.items(), strict=True):
        panel.x, panel.y = limits([1, epochs]), limits(np.concatenate([*parts.values()]))
        last = panel is drawn[-1]
        panel.draw_axes("epoch" if last else "", quantity.replace("_", " "), named=(last, True), grid=True)
        for part, values in parts.items():
            marker = "." if len(values) < FEW else None
            panel.plot(range(1, len(values) + 1), values, color=PARTS.get(part, "C0"), marker=marker)
    if divided:
        legend(figure, divided, figure.get_figheight() - 0.17, columns=len(PARTS), width=1.4)
    write(figure, file)
