"""Small networks and images that tests of the CNN share."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hiexp.classifiers import ConvNet

SMALL = ConvNet(filters=[4, 8], padding="same", dense=16)
ON_A_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")


def two_kinds_of_image(n: int = 65, size: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright left or a bright right half; 65 images make two batches of 32 and an odd one."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    X = rng.normal(0, 0.3, (n, 1, size, size)).astype(np.float32)
    X[y == 0, :, :, : size // 2] += 1
    X[y == 1, :, :, size // 2 :] += 1
    return X, np.where(y, 7, 3)
