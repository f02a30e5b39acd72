"""What metrics are called in MLflow, where those with one word before a slash stand together."""

from __future__ import annotations

import re

# The first rule that fits; what no rule fits is a score of the objects held out. Of `train` and `validation` the word
# is a part of the name itself.
GROUPS = {
    "train": r"train_(loss|accuracy)",
    "validation": r"validation_.*",
    "search": r"(inner|optimism)_.*",
    "yardstick": r".*yardstick.*",
    "chance": r"(chance|chance95|p)_.*",
    "interval": r"(low|high)_.*",
    "dependence": r"(epsilon2|information)_.*",
    "time": r".*_seconds|spectra_per_second|peak_memory_mb",
    "count": r"n_.*",
    "fit": r"median_.*",
    "shapelets": r"shapelet_.*",
}
OF_THE_NAME = ("train", "validation")
REST = "test"


def grouped(name: str) -> str:
    """Return a metric's name in MLflow: ``train/loss``, ``chance/p_accuracy``, ``test/accuracy``."""
    for group, pattern in GROUPS.items():
        if re.fullmatch(pattern, name):
            return f"{group}/{name.removeprefix(f'{group}_') if group in OF_THE_NAME else name}"
    return f"{REST}/{name}"


def plain(name: str) -> str:
    """Return the name that `grouped` was given; others, of older runs, are returned as they are."""
    group, slash, rest = name.partition("/")
    if not slash:
        return name
    return f"{group}_{rest}" if group in OF_THE_NAME else rest
