"""The fits of one spectrum after the other, compiled, on a CPU: the peer of `hiexp.fitting.torch_backend`."""

from hiexp.fitting.numba_backend.curves import compiled_curve
from hiexp.fitting.numba_backend.least_squares import least_squares, linear_least_squares, products
from hiexp.fitting.numba_backend.measure import measure

__all__ = ["compiled_curve", "least_squares", "linear_least_squares", "measure", "products"]
