"""The study's grid of 54 networks: ``python -m hiexp.train +experiment=cnn54`` against the published workload.

    python benchmarks/cnn_grid.py [further words of the command, hydra/launcher=basic for example]

The command runs as a user types it, in an empty folder: fits, images, 54 trainings, pictures, MLflow. Baseline: 54
independent trainings of the published networks in plain PyTorch, fp32 on 128 x 128 x 3, the images in memory and all
cores at work. Of each of its nine networks and sizes of sample EPOCHS epochs are measured, after one that is not, and
extrapolated to the epochs of the grid; everything beside the epochs is left out of the baseline.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch
from history import record
from torch import nn

EPOCHS = 2
GRID_EPOCHS = 2 * (50 + 80 + 120)  # of one network on one size of sample: two splits
FILTERS = {"simple": [32, 64, 128], "medium": [32, 64, 128, 256], "complex": [32, 64, 128, 256, 512]}
N_TRAIN = {0.3: 222, 0.5: 159, 0.7: 95}  # by test_size, of 318 galaxies


def published_network(filters: list[int]) -> nn.Module:
    """Return the network of the study as its notebooks have it, layer by layer."""
    layers, channels, side = [], 3, 128
    for width in filters:
        layers += [nn.Conv2d(channels, width, 3), nn.ReLU(), nn.BatchNorm2d(width), nn.MaxPool2d(2), nn.Dropout(0.25)]
        channels, side = width, (side - 2) // 2
    layers += [nn.Flatten(), nn.Linear(channels * side**2, 512), nn.ReLU(), nn.BatchNorm1d(512), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(512, 3))


def seconds_an_epoch(filters: list[int], n: int) -> float:
    """Return the mean time of an epoch on `n` images."""
    images, classes = torch.randn(n, 3, 128, 128), torch.randint(0, 3, (n,))
    network = published_network(filters)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-5)
    for epoch in range(1 + EPOCHS):
        if epoch == 1:
            start = time.perf_counter()
        for rows in torch.randperm(n).split(32):
            loss = nn.functional.cross_entropy(network(images[rows]), classes[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return (time.perf_counter() - start) / EPOCHS


def grid(words: list[str]) -> tuple[float, pd.Series]:
    """Run the command; return its seconds and what its jobs say of theirs, added up."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hiexp.train", "+experiment=cnn54", *words]
        with (Path(folder) / "screen").open("w") as screen:
            start = time.perf_counter()
            subprocess.run(command, cwd=folder, stdout=screen, stderr=subprocess.STDOUT, check=True)
            total = time.perf_counter() - start
        jobs = pd.DataFrame(json.loads(file.read_text()) for file in Path(folder).glob("runs/*/*/*/metrics.json"))
    return total, jobs.filter(like="_seconds").sum()


def main(words: list[str]) -> None:
    """Print both, and how many times as long the baseline takes."""
    print(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f} at the start")
    times = pd.DataFrame(
        {
            share: {name: seconds_an_epoch(filters, n) for name, filters in FILTERS.items()}
            for share, n in N_TRAIN.items()
        }
    )
    baseline = times.to_numpy().sum() * GRID_EPOCHS
    print(f"published workload, seconds an epoch by test_size ({EPOCHS} measured of each):")
    print(times.round(2).to_string())
    print(f"extrapolated to 54 trainings, {9 * GRID_EPOCHS} epochs: {baseline:.0f} s = {baseline / 3600:.2f} h")
    total, spent = grid(words)
    print(f"python -m hiexp.train +experiment=cnn54 {' '.join(words)}: {total:.0f} s")
    print(
        "  of its jobs together, in parallel or not: "
        + ", ".join(f"{name} {value:.0f}" for name, value in spent.items())
    )
    record(" ".join(["cnn54", *words]), baseline / total, seconds=total, baseline_seconds=baseline)
    print(f"ratio {baseline / total:.1f}; load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main(sys.argv[1:])
