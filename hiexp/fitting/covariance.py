"""How sure the parameters of a fit are."""

from __future__ import annotations

import torch
from torch import Tensor

WEAKEST = 1e-10  # least curvature, of 1 for a parameter alone: where two mean the same, rounding decides below it


def covariance(curvature: Tensor, spread: Tensor, fixed: Tensor) -> Tensor:
    """Return the covariance of least-squares parameters under noise that neighbouring channels share.

    With white noise it is the inverse of H = J J^T. Smoothed spectra have correlated noise, R, and the parameters
    that least squares finds then scatter by H^-1 (J R J^T) H^-1.

    Parameters
    ----------
    curvature, spread : Tensor, shape (B, P, P)
        The products J J^T and J R J^T of a backend.
    fixed : Tensor of bool, shape (B, P)
        Parameters that the data do not determine: they have no (co)variance, and the others are sure of them.

    Returns
    -------
    Tensor, shape (B, P, P)
    """
    diagonal = curvature.diagonal(dim1=1, dim2=2)
    unit = torch.where(fixed | (diagonal <= 0), 0.0, diagonal.clamp_min(torch.finfo(diagonal.dtype).tiny).rsqrt())
    scaled = curvature * unit[:, :, None] * unit[:, None]
    scaled.diagonal(dim1=1, dim2=2).copy_(torch.ones_like(unit))
    inverse, failed = torch.linalg.inv_ex(scaled)
    # No curvature along any direction is less than 1 / the norm of the inverse.
    weak = (failed > 0) | ~(torch.linalg.matrix_norm(inverse) < 0.1 / WEAKEST)
    # Noise so small that its inverse squared has no number leaves nothing to invert, and no errors.
    whole = scaled.isfinite().all(2).all(1)
    inverse[~whole] = torch.nan
    weak &= whole
    if weak.any():
        curvatures, directions = torch.linalg.eigh(scaled[weak])
        inverse[weak] = (directions / curvatures.clamp_min(WEAKEST)[:, None]) @ directions.mT
    inverse = inverse * unit[:, :, None] * unit[:, None]
    return inverse @ spread @ inverse


def standard_deviations(covariances: Tensor, by_parameters: Tensor | None = None) -> Tensor:
    """Return those of the parameters, shape (B, P), or of numbers with these derivatives (B, Q, P), shape (B, Q)."""
    if by_parameters is None:
        variances = covariances.diagonal(dim1=1, dim2=2)
    else:
        variances = ((by_parameters @ covariances) * by_parameters).sum(2)
    return torch.where(variances > 0, variances.sqrt(), torch.nan)
