"""One page of a whole sweep, complete in itself: its ranking and what each job found."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader
from PIL import Image

PAGE = "sweep.html"
PICTURES = ("plots/parameters_by_class.png", "plots/classes.png")  # of each job, where it has them
COLUMNS = {
    "cluster_n_groups": ("groups", "{:.0f}"),
    "cluster_noise_fraction": ("noise", "{:.0%}"),
    "cluster_silhouette": ("silhouette", "{:.2f}"),
    "cluster_stability": ("stability", "{:.2f}"),
    "agreement": ("agreement", "{:.3f}"),
    "cluster_adjusted_rand": ("ARI", "{:.2f}"),
    "balanced_accuracy": ("balanced accuracy", "{:.3f}"),
    "success_rate": ("success rate", "{:.3f}"),
    "chance_success_rate": ("chance", "{:.3f}"),
    "p_success_rate": ("p", "{:.3f}"),
}
STRENGTH = "epsilon2_"
COLOURS = 48  # of an embedded picture


@dataclass(frozen=True)
class Cell:
    """A number in the table: its text, and how dark its ground is, 0 to 1."""

    text: str
    shade: float = 0.0


def write_page(ranking: pd.DataFrame, failed: Sequence[tuple[str, str, str]], folder: Path, command: str) -> Path:
    """Write ``sweep.html`` into the folder of a sweep and return its path.

    Parameters
    ----------
    ranking : DataFrame
        A row a job that is done, best first: ``job``, ``settings`` and its metrics.
    failed : sequence of (job, settings, reason)
        The jobs that are not.
    folder : Path
        Of the sweep; the folder of each job lies in it.
    command : str
        What was typed.
    """
    columns = {name: shown for name, shown in COLUMNS.items() if name in ranking and ranking[name].notna().any()}
    strengths = [name for name in ranking if name.startswith(STRENGTH)]
    titles = [title for title, _ in columns.values()] + [name.removeprefix(STRENGTH) for name in strengths]
    jobs = []
    for _, row in ranking.iterrows():
        cells = [Cell("" if pd.isna(row[name]) else form.format(row[name])) for name, (_, form) in columns.items()]
        cells += [Cell("", 0) if pd.isna(row[name]) else Cell(f"{row[name]:.2f}", row[name]) for name in strengths]
        pictures = [
            _embedded(folder / row["job"] / name) for name in PICTURES if (folder / row["job"] / name).exists()
        ]
        jobs.append({"name": row["job"], "settings": row["settings"], "cells": cells, "pictures": pictures})
    template = Environment(loader=PackageLoader("hiexp"), autoescape=True).get_template(PAGE)
    page = folder / PAGE
    page.write_text(
        template.render(
            command=command, titles=titles, n_strengths=len(strengths), jobs=jobs, failed=failed, folder=folder.name
        )
    )
    return page


def _embedded(picture: Path) -> str:
    """Return the picture in few colours, which a page of many pictures can afford."""
    file = BytesIO()
    with Image.open(picture) as image:
        image.convert("RGB").quantize(COLOURS).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
