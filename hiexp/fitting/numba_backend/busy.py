"""The Busy Function, compiled.

Its time goes into exp, log and erf. The ones of the C library take one number at a time; these are polynomials and
bits alone, of which the compiler makes vector instructions, and exact to some 1e-15.
"""

from __future__ import annotations

from typing import Any

from numba import float64, int64, njit
from numba.extending import intrinsic

from hiexp.fitting.numba_backend.curves import OPTIONS, SIGNATURE

# No sums in any order here: rounding to an integer is to add a large number and to take it away again.
EXACT = {**OPTIONS, "fastmath": {"contract", "nsz"}}

NEAREST = 1e-9  # as in `hiexp.fitting.busy`
FARTHEST = 8.0  # up to here the polynomial of erf goes
ROUNDING = 1.5 * 2.0**52  # a double that large has no fraction
ROUNDING_BITS = 0x4338000000000000
LOG2_HIGH, LOG2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10  # ln 2 = their sum


def _reinterpret(to: Any, given: Any) -> Any:
    """Return a signature and the code that reads the bits of a number as another type."""

    def code(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(to))

    return to(given), code


@intrinsic
def _bits(_context: Any, _number: Any) -> Any:
    return _reinterpret(int64, float64)


@intrinsic
def _number(_context: Any, _bits: Any) -> Any:
    return _reinterpret(float64, int64)


@njit(**EXACT, forceinline=True)
def exp(x):
    """Return ``e^x = 2^k e^r, |r| <= ln 2 / 2``, for -700 <= x <= 700."""
    x = -700.0 if x < -700.0 else x
    x = 700.0 if x > 700.0 else x
    shifted = x * 1.4426950408889634 + ROUNDING
    k = shifted - ROUNDING
    r = x - k * LOG2_HIGH - k * LOG2_LOW
    p = 2.5110037605963777e-08
    p = p * r + 2.763263963904103e-07
    p = p * r + 2.755724091857897e-06
    p = p * r + 2.4801485482328494e-05
    p = p * r + 0.00019841269890047113
    p = p * r + 0.0013888888952314775
    p = p * r + 0.008333333333319601
    p = p * r + 0.0416666666664881
    p = p * r + 0.1666666666666668
    p = p * r + 0.5000000000000019
    p = p * r + 1.0
    p = p * r + 1.0
    return p * _number((_bits(shifted) + 1023) << 52)


@njit(**EXACT, forceinline=True)
def log(x):
    """Return ln x = k ln 2 + ln m, m from sqrt(1/2) to sqrt(2) and ln m = 2 artanh s, for x > 0."""
    bits = _bits(x)
    k = (bits - 0x3FE6A09E667F3BCD) >> 52
    m = _number(bits - (k << 52))
    s = (m - 1) / (m + 1)
    u = s * s
    p = 0.14809710360655276
    p = p * u + 0.1531252814836419
    p = p * u + 0.18183631680229329
    p = p * u + 0.22222197056726048
    p = p * u + 0.2857142876064168
    p = p * u + 0.3999999999930234
    p = p * u + 0.6666666666666765
    p = p * u + 2.0
    return (_number(k + ROUNDING_BITS) - ROUNDING) * (LOG2_HIGH + LOG2_LOW) + p * s


@njit(**EXACT, forceinline=True)
def erfc(x, gaussian):
    """Return 1 - erf(x) for 0 <= x <= 8, given e^(-x^2); beyond, what x = 8 makes of that."""
    inverse = 1 / ((x + 3) * (1 + 2 * x))
    # (1 + 2 x) e^(x^2) erfc(x) is a smooth function of (x - 3) / (x + 3) (Shepherd & Laframboise 1981).
    t = (x - 3) * (1 + 2 * x) * inverse
    p = 1.7554466873264516e-07
    p = p * t + 1.5023079543564804e-06
    p = p * t + 3.998460735129121e-06
    p = p * t - 1.127318416288268e-06
    p = p * t - 2.064248289519471e-05
    p = p * t + 4.852399865081604e-06
    p = p * t + 0.00012523992167417573
    p = p * t - 0.00010509423961816814
    p = p * t - 0.0007798452892928602
    p = p * t + 0.0018886781547434992
    p = p * t + 0.0025293917437072934
    p = p * t - 0.023770513870450028
    p = p * t + 0.06830802742009028
    p = p * t - 0.11927366345753718
    p = p * t + 0.1296451586993339
    p = p * t - 0.047562294352793834
    p = p * t - 0.13562110612454725
    p = p * t + 1.2530080582697278
    return gaussian * p * (x + 3) * inverse


@njit([SIGNATURE], **EXACT)
def busy(velocity, parameters, value, derivatives):
    """Write `hiexp.fitting.busy.by_height_with_derivatives`."""
    a, b1, b2, h, xe, xp, w, n = parameters
    aside = xp - xe
    squared = aside * aside + w * w
    reach = log(squared) / 2
    for i in range(velocity.size):
        inside, outside = w + velocity[i] - xe, w - velocity[i] + xe
        p, q = b1 * inside, b2 * outside
        size_p, size_q = abs(p), abs(q)
        size_p = FARTHEST if size_p > FARTHEST else size_p
        size_q = FARTHEST if size_q > FARTHEST else size_q
        slope_p, slope_q = exp(-p * p), exp(-q * q)
        left, right = erfc(size_p, slope_p), erfc(size_q, slope_q)
        left = left if p < 0 else 2 - left
        right = right if q < 0 else 2 - right
        from_trough = velocity[i] - xp
        distance = abs(from_trough)
        distance = NEAREST if distance < NEAREST else distance
        logarithm = log(distance) - reach
        power = exp(n * logarithm)
        horns = h * power + 1
        box = left * right / 4
        by_a = box * horns
        scale = a * horns * 0.28209479177387814  # 1 / (2 sqrt(pi))
        by_p, by_q = scale * slope_p * right, scale * slope_q * left
        by_h = a * box * power
        by_power = h * by_h
        by_reach = n / squared * by_power
        value[i] = a * by_a
        derivatives[0, i] = by_a
        derivatives[1, i] = by_p * inside
        derivatives[2, i] = by_q * outside
        derivatives[3, i] = by_h
        derivatives[4, i] = by_q * b2 - by_p * b1 + by_reach * aside
        derivatives[5, i] = -n * by_power / (-distance if from_trough < 0 else distance) - by_reach * aside
        derivatives[6, i] = by_p * b1 + by_q * b2 - by_reach * w
        derivatives[7, i] = by_power * logarithm
