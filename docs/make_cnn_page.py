"""Print the comparison of docs/cnn54.md and draw its picture.

    python docs/make_cnn_page.py SWEEP_OF_CNN54 SWEEP_OF_CNN54_PUBLISHED

Both are folders ``runs/<date>/<time>_sweep``; configurations that both have finished are compared, pair by pair.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from hiexp.evaluation.pairs import paired_difference

DOCS = Path(__file__).resolve().parent
GRID = ["model", "test_size", "random_state", "epochs"]
MARKERS = {"simple": "o", "medium": "s", "complex": "^"}


def scores(folder: Path) -> pd.DataFrame:
    """Return the balanced accuracy of the jobs that have ended, by their place in the grid."""
    rows = []
    for file in folder.glob("*/metrics.json"):
        words = dict(word.partition("=")[::2] for word in OmegaConf.load(file.parent / ".hydra" / "overrides.yaml"))
        rows.append([*(words[key] for key in GRID), json.loads(file.read_text())["balanced_accuracy"]])
    return pd.DataFrame(rows, columns=[*GRID, "score"]).set_index(GRID)["score"]


def main(default: Path, published: Path) -> None:
    """Print the paired difference and draw the pairs."""
    pairs = pd.DataFrame({"default": scores(default), "published": scores(published)}).dropna()
    found = paired_difference(pairs["published"], pairs["default"])
    print(f"{found.n} pairs: published {pairs['published'].mean():.3f}, default {pairs['default'].mean():.3f}, ")
    print(f"difference {found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}] as if the pairs were independent")
    difference = (pairs["default"] - pairs["published"]).rename("difference").reset_index()
    print(difference.pivot_table("difference", ["test_size", "random_state"], "model", margins=True).round(3))
    figure = Figure(figsize=(4.6, 4.4), dpi=120, layout="constrained")
    panel = figure.subplots()
    ends = [pairs.to_numpy().min() - 0.02, pairs.to_numpy().max() + 0.02]
    panel.plot(ends, ends, color="0.6", lw=1, label="equal")
    for model, marker in MARKERS.items():
        members = pairs[pairs.index.get_level_values("model") == model]
        panel.plot(members["published"], members["default"], marker, ms=5, alpha=0.8, label=model)
    panel.set_xlabel("published: 128 x 128 RGB")
    panel.set_ylabel("default: a quarter, 64 x 64, one channel")
    panel.set_title(f"balanced accuracy of {found.n} configurations: {found.mean:+.3f} on the average", fontsize=9)
    panel.legend(fontsize=8, loc="lower right")
    figure.savefig(DOCS / "cnn54.png")


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:]))
