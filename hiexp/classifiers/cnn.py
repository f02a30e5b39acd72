"""A convolutional network behind scikit-learn's classifier interface."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import Tags
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import nn

from hiexp.cache import fingerprint
from hiexp.classifiers.network import ConvNet
from hiexp.classifiers.states import Checkpoint, Checkpoints
from hiexp.classifiers.training import Examples, Training
from hiexp.devices import torch_device
from hiexp.errors import InputError
from hiexp.kinds import Count, Device, InnerFraction, NotNegative, Positive, Seed, Several

log = logging.getLogger(__name__)

PREDICTION_BATCH = {"cpu": 32, "cuda": 1024}  # on a CPU so few that its cache holds their maps
SALIENCY_STEPS = 16


class CNNClassifier(ClassifierMixin, BaseEstimator):
    """Train a network on images or profiles with AdamW and cross-entropy.

    Parameters
    ----------
    network : object with a method ``build``
        ``build(image_shape, n_classes)`` returns a torch module that maps images, shape (N, *image_shape), to
        logits; `ConvNet`, for example.
    epochs : int
        Passes over the training images.
    batch_size : int
        Images a step.
    learning_rate, weight_decay : float
        Of AdamW.
    standardize : bool
        Shift and scale all images alike, so that the pixels of the training images have mean 0 and variance 1.
    class_weight : {"balanced"} or None
        "balanced" weighs each class in the loss by the inverse of its number of images.
    early_stopping : int or None
        Stop when the loss of a validation part has not improved for so many epochs, and return the network as it was
        when that loss was lowest. None trains all epochs on all images.
    validation_fraction : float
        Of the images, for early stopping; as many of each class as possible.
    precision : {"auto", "32"}
        "auto" trains under bf16 autocast where the processor computes in bf16, "32" in fp32 throughout.
        Predictions are made in fp32.
    device : {"cpu", "cuda", "auto"}
        Where to train and predict.
    threads : int
        Of the CPU. With another number the last bits of the weights differ.
    seed : int
        Of the weights, the order of the batches, the dropout and the validation part.
    states : str or None
        Folder that keeps the states of trainings: a training goes on from the latest state of one that differs from
        it by nothing but `epochs`, with the same result as from the beginning to the last bit. None keeps nothing.
    keep_seconds : float
        Of training between two states, beside the one at the end.

    Attributes
    ----------
    classes_ : ndarray
        The class labels.
    centre_, spread_ : float
        Taken from each pixel, and what the rest is divided by.
    network_ : torch.nn.Module
        The trained network, on the CPU.
    history_ : dict of list of float
        ``train_loss`` and ``train_accuracy`` of each epoch; with early stopping ``validation_loss`` and
        ``validation_accuracy``, too.
    """

    predicts_most_probable = True
    classes_: np.ndarray
    centre_: float
    spread_: float
    image_shape_: tuple[int, ...]
    history_: dict[str, list[float]]

    def __init__(
        self,
        network: ConvNet,
        epochs: Count = 50,
        batch_size: Several = 32,
        learning_rate: Positive = 1e-3,
        weight_decay: NotNegative = 1e-5,
        standardize: bool = True,
        class_weight: Literal["none", "balanced"] | None = None,
        early_stopping: Count | None = None,
        validation_fraction: InnerFraction = 0.2,
        precision: Literal["auto", "32", 32] = "auto",
        device: Device = "cpu",
        threads: Count = 1,
        seed: Seed = 0,
        states: str | None = None,
        keep_seconds: NotNegative = 30,
    ) -> None:
        self.network = network
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.standardize = standardize
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.precision = precision
        self.device = device
        self.threads = threads
        self.seed = seed
        self.states = states
        self.keep_seconds = keep_seconds

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Train on images, shape (N, channels, height, width), or profiles, shape (N, n), of classes `y`, shape (N,).

        Raises
        ------
        InputError
            If `X` are neither, or the settings cannot be met on this machine.
        """
        if X.ndim not in (2, 4):
            raise InputError(
                f"classifier=cnn takes images or profiles, this feature gives arrays of shape {X.shape[1:]}; "
                "use feature=image2d or feature=raw"
            )
        check_classification_targets(y)
        self._check_settings()
        device = torch_device(self.device)
        self.centre_, self.spread_ = (float(X.mean()), float(X.std()) or 1.0) if self.standardize else (0.0, 1.0)
        images = self._prepared(X)
        self.classes_, targets = np.unique(y, return_inverse=True)
        self.image_shape_ = images.shape[1:]
        low = self._low(device)
        with _arithmetic(self.threads), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(self.seed)
            self.network_ = self.build_network()
            self._train(images, targets, device, low)
        self.network_.cpu().eval().requires_grad_(False)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return class probabilities, shape (N, n_classes), in the order of ``classes_``."""
        check_is_fitted(self, "network_")
        device = torch_device(self.device)
        network = self.network_.to(device).eval()
        with torch.inference_mode(), _arithmetic(self.threads):
            batches = torch.from_numpy(self._prepared(X)).split(PREDICTION_BATCH[device.type])
            logits = [network(batch.to(device)).cpu().double() for batch in batches]
        network.cpu()
        return torch.softmax(torch.cat(logits), dim=1).numpy()

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the most probable class of each image, shape (N,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def saliency(self, X: np.ndarray) -> np.ndarray:
        """Return how much each pixel or sample speaks for the predicted class, in the shape of `X`.

        Integrated gradients (Sundararajan, Taly & Yan 2017, ICML, 3319) of the log odds of the predicted class, along
        the straight way from zeros (a symmetric profile, in images of differences) to `X`, in 16 steps, which are
        short near zeros, where the log odds change most. The values of one object sum to the difference in log odds
        between it and zeros, but for the error of the steps: some 5 % of it in the study's simple network, a third
        and a half in the other two, where maps smoothed over two pixels are 25 and 17 % from their limit. They are
        computed in the arithmetic of the training.
        """
        check_is_fitted(self, "network_")
        device = torch_device(self.device)
        network = self.network_.to(device).eval()
        whole = torch.from_numpy(self._prepared(X)).to(device)
        start = torch.from_numpy(self._prepared(np.zeros_like(X[:1]))).to(device)
        summed = torch.zeros_like(whole)
        ends = torch.linspace(0, 1, SALIENCY_STEPS + 1, device=device) ** 2
        middles, lengths = (ends[1:] + ends[:-1]) / 2, ends.diff()
        together = max(1, PREDICTION_BATCH[device.type] // len(X))
        with _arithmetic(self.threads), torch.autocast(device.type, torch.bfloat16, enabled=self._low(device)):
            predicted = network(whole).argmax(dim=1, keepdim=True)
            for some, length in zip(middles.split(together), lengths.split(together), strict=True):
                parts = torch.lerp(start, whole, some.view(-1, *[1] * whole.ndim)).requires_grad_()
                logits = network(parts.flatten(0, 1)).float()
                chosen = predicted.repeat(len(some), 1)
                others = logits.scatter(1, chosen, -torch.inf).logsumexp(dim=1)
                log_odds = logits.gather(1, chosen)[:, 0] - others
                share = (log_odds * length.repeat_interleave(len(X))).sum()
                summed += torch.autograd.grad(share, parts)[0].sum(dim=0)
        network.cpu()
        return (summed * (whole - start)).cpu().numpy().reshape(X.shape)

    def build_network(self) -> nn.Module:
        """Return the network untrained, as `fit` starts from and as stored weights are loaded into."""
        return self.network.build(self.image_shape_, len(self.classes_))

    def _prepared(self, X: np.ndarray) -> np.ndarray:
        """Return standardized images; profiles as images of one channel; float32."""
        values = (X[:, None] if X.ndim == 2 else X).astype(np.float32)
        return (values - np.float32(self.centre_)) / np.float32(self.spread_)

    def _low(self, device: torch.device) -> bool:
        """Return whether to compute in bf16 what need not be exact."""
        return str(self.precision) == "auto" and _computes_bf16(device)

    def _check_settings(self) -> None:
        if self.epochs < 1:
            raise InputError(f"epochs={self.epochs}: train for at least one epoch")
        if str(self.precision) not in ("auto", "32"):
            raise InputError(f"classifier.precision={self.precision}: choose auto or 32")
        if self.class_weight not in (None, "none", "balanced"):
            raise InputError(f"classifier.class_weight={self.class_weight}: choose none or balanced")
        if self.early_stopping is not None and self.early_stopping < 1:
            raise InputError(f"classifier.early_stopping={self.early_stopping}: wait for at least one epoch, or null")
        if not 0 < self.validation_fraction < 1:
            raise InputError(f"classifier.validation_fraction={self.validation_fraction}: choose from 0 to 1")
        if self.threads < 1:
            raise InputError(f"classifier.threads={self.threads}: train on at least one")

    def _train(self, images: np.ndarray, targets: np.ndarray, device: torch.device, low: bool) -> None:
        tensor = torch.from_numpy(images).to(device, torch.bfloat16 if low else torch.float32)
        examples, validation = Examples(tensor, torch.from_numpy(targets).to(device)), None
        if self.early_stopping:
            examples, validation = self._divided(examples, targets)
        states = self._states(images, targets, device, low)
        with ExitStack() as stack:
            if states:
                try:
                    stack.enter_context(states.lock())
                except OSError as error:
                    log.warning("No state can be kept in %s (%s); cache=off goes without", states.folder, error)
                    states = None
            training = Training(
                self.network_,
                examples,
                validation,
                learning_rate=self.learning_rate,
                weight_decay=self.weight_decay,
                class_weight=self._weights(targets, device),
                batch_size=self.batch_size,
                seed=self.seed,
                patience=self.early_stopping or 0,
                keep=_keeper(states) if states else None,
                keep_seconds=self.keep_seconds,
            )
            if states and (state := states.latest(self.epochs)):
                training.restore(state)
                log.info("The training goes on after %d epochs of an earlier one", training.epochs_done)
            if training.epochs_done < self.epochs and not training.finished_early:
                training.run(self.epochs, "bf16-mixed" if low else "32-true")
        if training.best:
            self.network_.load_state_dict(training.best)
        self.history_ = training.history

    def _divided(self, examples: Examples, targets: np.ndarray) -> tuple[Examples, Examples]:
        """Return the examples to learn from and the validation part."""
        try:
            learned, held = train_test_split(
                np.arange(len(targets)),
                test_size=self.validation_fraction,
                random_state=self.seed,
                stratify=targets,
            )
        except ValueError as error:
            raise InputError(
                f"classifier.early_stopping={self.early_stopping}: {len(targets)} objects leave no validation part "
                f"of {self.validation_fraction:g} ({error}); set classifier.early_stopping=null"
            ) from error
        return examples.take(learned), examples.take(held)

    def _weights(self, targets: np.ndarray, device: torch.device) -> torch.Tensor | None:
        if self.class_weight != "balanced":
            return None
        weights = compute_class_weight("balanced", classes=np.unique(targets), y=targets)
        return torch.from_numpy(weights).float().to(device)

    def _states(self, images: np.ndarray, targets: np.ndarray, device: torch.device, low: bool) -> Checkpoints | None:
        if self.states is None:
            return None
        elsewhere = ("network", "epochs", "precision", "device", "states", "keep_seconds")
        network = type(self.network)
        settings = {
            "classifier": {name: value for name, value in self.get_params(False).items() if name not in elsewhere},
            "network": f"{network.__module__}.{network.__qualname__}",
            "network_settings": json.dumps(vars(self.network), sort_keys=True, default=repr),
            "arithmetic": [str(device), low, torch.backends.cpu.get_cpu_capability(), version("numba")],
        }
        return Checkpoints(Path(self.states) / f"training-{fingerprint(settings, images, targets)}")


def _keeper(states: Checkpoints) -> Callable[[Checkpoint], None]:
    """Return a function that keeps each state it is given in the place of the one before, until the training ends."""
    last = None

    def keep(state: Checkpoint) -> None:
        nonlocal last
        try:
            last = states.save(state, instead_of=last)
        except OSError as error:
            log.warning("The state of the training could not be kept in %s: %s", states.folder, error)

    return keep


@contextmanager
def _arithmetic(threads: int) -> Iterator[None]:
    """Let torch compute on so many threads of the CPU; on a GPU always alike, and in fp32 where fp32 is asked for."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_num_threads(before)


def _computes_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
