"""Kinds of values that settings have, to annotate arguments with; `hiexp.run.settings` checks what they allow."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen

Name = Annotated[str, MinLen(1)]
Whole = Annotated[int, Ge(0)]
Count = Annotated[int, Ge(1)]
Several = Annotated[int, Ge(2)]
Seed = Annotated[int, Ge(0), Lt(2**32)]  # what NumPy and scikit-learn take
NotNegative = Annotated[float, Ge(0)]
Positive = Annotated[float, Gt(0)]
Fraction = Annotated[float, Ge(0), Le(1)]
InnerFraction = Annotated[float, Gt(0), Lt(1)]
Device = Literal["cpu", "cuda", "auto"]
Probability = Annotated[float, Ge(0), Lt(1)]


def describe(hint: object) -> str:
    """Return in words what an annotation allows."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        bounds = [_bound(one) for one in arguments[1:]]
        return f"{describe(arguments[0])} {' and '.join(filter(None, bounds))}".strip()
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(describe(one) for one in arguments))
    if hint is None or hint is type(None):
        return "null"
    if origin is Callable:
        return "settings that have a _target_"
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return "a mapping {name: value}"
    if inspect.isclass(origin) and issubclass(origin, Sequence):
        return f"a list of {describe(arguments[0])}" + (";" if " or " in describe(arguments[0]) else "")
    words: dict[object, str] = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text (quoted, if it is a number)",
    }
    return words[hint] if hint in words else str(getattr(hint, "__name__", hint))


def _bound(constraint: object) -> str:
    match constraint:
        case MinLen():
            return "that is not empty"
        case Ge(ge=least):
            return f"from {least} up"
        case Gt(gt=least):
            return f"above {least}"
        case Le(le=most):
            return f"to {most}"
        case Lt(lt=most):
            return f"below {most}"
    return ""
