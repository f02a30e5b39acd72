"""How Lightning's Trainer is to be set, and networks of somebody's own; Lightning is not imported here."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from hiexp.devices import torch_device
from hiexp.errors import InputError
from hiexp.kinds import Count, Positive, Whole

if TYPE_CHECKING:  # torch takes seconds to import, and settings are checked without it
    import torch
    from torch import nn


@dataclass(frozen=True)
class TrainerOptions:
    """Arguments of `pytorch_lightning.Trainer`; with all defaults a training takes the shortest way.

    Parameters
    ----------
    accelerator : {"cpu", "gpu", "cuda", "auto"} or None
        Where to train; None as the classifier predicts.
    devices : 1 or list of one int
        Number of devices, or which GPU.
    precision : str or None
        "32-true", "bf16-mixed", "16-mixed" (on a GPU) or "64-true"; None by the classifier's own setting.
    gradient_clip_val : float or None
        Largest gradient.
    gradient_clip_algorithm : {"norm", "value"} or None
        Whether that is of the norm of all gradients (None, too), or of each.
    accumulate_grad_batches : int
        Batches a step of the optimiser.
    callbacks : sequence of pytorch_lightning.Callback
        Called as the training goes on.
    logger : sequence of pytorch_lightning.loggers.Logger
        Receive what is logged: the loss and the accuracy of each epoch, and what a module logs itself.
    """

    accelerator: Literal["cpu", "gpu", "cuda", "auto"] | None = None
    devices: Literal[1] | Sequence[Whole] = 1
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "64-true"] | None = None
    gradient_clip_val: Positive | None = None
    gradient_clip_algorithm: Literal["norm", "value"] | None = None
    accumulate_grad_batches: Count = 1
    callbacks: Sequence[Callable[..., object]] = ()
    logger: Sequence[Callable[..., object]] = ()

    def __post_init__(self) -> None:
        """Refuse several devices, which would train several networks."""
        if self.devices != 1 and (isinstance(self.devices, int) or len(self.devices) != 1):
            raise InputError(
                f"trainer.devices={self.devices}: a training keeps to one device; give 1, or the number of a GPU in "
                "brackets, and let a sweep use the others"
            )

    @property
    def asked(self) -> dict[str, Any]:
        """What is not as it is by default."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            one.name: values[one.name] for one in fields(self) if (values[one.name] or one.default) != one.default
        }

    def device(self, name: str) -> torch.device:
        """Return where to train, `name` (cpu, cuda or auto) where nothing else is asked for.

        Raises
        ------
        InputError
            If there is no such GPU.
        """
        import torch

        device = torch_device({"gpu": "cuda"}.get(self.accelerator or name, self.accelerator or name))
        if self.devices == 1 or device.type == "cpu":
            return device
        (number,) = self.devices
        if number >= torch.cuda.device_count():
            raise InputError(
                f"trainer.devices=[{number}]: torch sees {torch.cuda.device_count()} GPUs, counted from 0; choose one"
            )
        return torch.device("cuda", number)


@dataclass(frozen=True)
class OwnNetwork:
    """A torch module of somebody's own, to be made for images and classes that are not known yet.

    Parameters
    ----------
    module : type
        Class of torch modules.
    settings : mapping
        Arguments of it. `image_shape` and `n_classes` are added if it takes arguments of these names.
    """

    module: type
    settings: Mapping[str, object]

    def build(self, image_shape: tuple[int, ...], n_classes: int) -> nn.Module:
        """Return a new network, its weights drawn from torch's global random state.

        Raises
        ------
        InputError
            If the class has no modules.
        """
        from torch import nn

        if not issubclass(self.module, nn.Module):  # in a model of a stranger
            raise InputError(f"model._target_={self.module.__qualname__}: give a class of torch modules")
        taken = inspect.signature(self.module).parameters
        told = {"image_shape": image_shape, "n_classes": n_classes}
        return self.module(**{name: value for name, value in told.items() if name in taken} | dict(self.settings))


def check_logits(network: nn.Module, image_shape: tuple[int, ...], n_classes: int, dtype: torch.dtype) -> None:
    """Raise an `InputError` where a network of somebody's own does not return the logits of two images."""
    import torch

    device = next((weights.device for weights in network.parameters()), torch.device("cpu"))
    images = torch.zeros(2, *image_shape, dtype=dtype, device=device)
    try:
        with torch.no_grad():
            shape = tuple(copy.deepcopy(network).eval()(images).shape)
    except Exception as error:  # of whatever a stranger's module does
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"model: {type(network).__name__} refuses images of shape {tuple(images.shape)} ({reason}); its forward "
            "takes images (N, channels, height, width), or profiles (N, 1, samples), and returns logits"
        ) from error
    if shape != (2, n_classes):
        raise InputError(
            f"model: {type(network).__name__} returns shape {shape} for 2 images of {n_classes} classes; its forward "
            f"has to return logits, shape (N, {n_classes})"
        )


def described(value: Any, depth: int = 6) -> Any:
    """Return what stands for a setting in a key, as plain values; of what lies deep in it what Python shows."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if depth == 0:
        return repr(value)
    if isinstance(value, Mapping):
        return {str(name): described(one, depth - 1) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [described(one, depth - 1) for one in value]
    if isinstance(value, functools.partial):
        return described([value.func, value.args, value.keywords], depth)
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"  # whose file is then part of the key
    return [described(type(value)), described(getattr(value, "__dict__", repr(value)), depth - 1)]
