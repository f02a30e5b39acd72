"""A convolutional network behind scikit-learn's classifier interface."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

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
from hiexp.classifiers.cnn.checkpoints import Checkpoint, Checkpoints, stopped_early
from hiexp.classifiers.cnn.network import ConvNet
from hiexp.classifiers.cnn.options import OwnNetwork, TrainerOptions, check_logits, described
from hiexp.devices import torch_device
from hiexp.errors import InputError
from hiexp.kinds import Count, Device, InnerFraction, NotNegative, Positive, Seed, Several

if TYPE_CHECKING:  # Lightning is imported where a network is trained
    from hiexp.classifiers.cnn.training import Examples

log = logging.getLogger(__name__)

EachEpoch = Callable[[int, Callable[[np.ndarray], np.ndarray]], None]

PREDICTION_BATCH = {"cpu": 32, "cuda": 1024}  # on a CPU so few that its cache holds their maps
SALIENCY_STEPS = 16


class CNNClassifier(ClassifierMixin, BaseEstimator):
    """Train a network on images or profiles with AdamW and cross-entropy.

    Parameters
    ----------
    network : object with a method ``build``
        ``build(image_shape, n_classes)`` returns a torch module that maps images, shape ``(N, *image_shape)``, to
        logits: `ConvNet`, for example, or `OwnNetwork` of a module of your own. A `LightningModule` with a
        ``training_step`` of its own trains itself: `learning_rate`, `weight_decay` and `class_weight` are not used.
    epochs : int
        Passes over the training images.
    batch_size : int
        Images a step.
    learning_rate, weight_decay : float
        Learning rate and weight decay of AdamW.
    standardize : bool
        Shift and scale all images alike, so that the pixels of the training images have mean 0 and variance 1.
    class_weight : {"balanced"} or None
        "balanced" weighs each class in the loss by the inverse of its number of images.
    early_stopping : int or None
        Stop when the loss of a validation part has not improved for so many epochs, and return the network as it was
        when that loss was lowest. None trains all epochs on all images.
    validation_fraction : float
        Fraction of the images that are set aside for early stopping, stratified by class.
    precision : {"auto", "32"}
        "auto" trains under bf16 autocast where the processor computes in bf16, "32" in fp32 throughout.
        Predictions are made in fp32.
    device : {"cpu", "cuda", "auto"}
        Where to train and predict.
    threads : int
        Threads on a CPU. With another number the last bits of the weights differ.
    seed : int
        Seed of the weights, the order of the batches, the dropout and the validation part.
    checkpoints : str or None
        Folder for checkpoints: a training goes on from the latest checkpoint of one that differs from it by nothing
        but `epochs`, with the same result as from the beginning to the last bit. None saves none.
    checkpoint_seconds : float
        Seconds of training between two checkpoints; there is one at the end, too.
    trainer : TrainerOptions or None
        How Lightning's Trainer is to be set. None trains the shortest way.
    schedule : callable or None
        Function that makes a scheduler of `torch.optim.lr_scheduler`, called after each epoch, of an optimiser.

    Attributes
    ----------
    classes_ : ndarray
        The class labels.
    centre_, spread_ : float
        Mean that is subtracted from each pixel, and standard deviation that it is divided by.
    network_ : torch.nn.Module
        The trained network, on the CPU.
    history_ : dict of list of float
        ``train_loss`` and ``train_accuracy`` of each epoch; with early stopping ``validation_loss`` and
        ``validation_accuracy``, too.
    """

    predicts_most_probable = True
    tells_epochs = True
    imported_by_fit: ClassVar[tuple[str, ...]] = (
        "hiexp.classifiers.cnn.training",
    )  # a sweep's processes do so earlier
    used_by_fit_alone: ClassVar[tuple[str, ...]] = ("trainer", "schedule")  # and not stored with a trained model
    classes_: np.ndarray
    centre_: float
    spread_: float
    image_shape_: tuple[int, ...]
    history_: dict[str, list[float]]

    def __init__(
        self,
        network: ConvNet | OwnNetwork,
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
        checkpoints: str | None = None,
        checkpoint_seconds: NotNegative = 30,
        trainer: TrainerOptions | None = None,
        schedule: Callable | None = None,
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
        self.checkpoints = checkpoints
        self.checkpoint_seconds = checkpoint_seconds
        self.trainer = trainer
        self.schedule = schedule

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags

    def fit(self, X: np.ndarray, y: np.ndarray, each_epoch: EachEpoch | None = None) -> Self:
        """Train on images, shape (N, channels, height, width), or profiles, shape (N, n), of classes `y`, shape (N,).

        After each epoch that is trained `each_epoch` is called with the number of epochs so far and a function from
        images to class probabilities by the network as it is then; what it raises ends the training.

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
        options = self.trainer or TrainerOptions()
        device = options.device(self.device)
        self.centre_, self.spread_ = (float(X.mean()), float(X.std()) or 1.0) if self.standardize else (0.0, 1.0)
        images = self._prepared(X)
        self.classes_, targets = np.unique(y, return_inverse=True)
        self.image_shape_ = images.shape[1:]
        bf16 = self._in_bf16(device) if options.precision is None else options.precision == "bf16-mixed"
        with _arithmetic(self.threads), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(self.seed)
            self.network_ = self.build_network()
            if not isinstance(self.network, ConvNet):
                check_logits(self.network_, self.image_shape_, len(self.classes_), torch.float32)
            self._train(images, targets, device, bf16, each_epoch)
        self.network_.cpu().eval().requires_grad_(False)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return class probabilities, shape (N, n_classes), in the order of ``classes_``."""
        check_is_fitted(self, "network_")
        device = torch_device(self.device)
        network = self.network_.to(device).eval()
        with torch.inference_mode(), _arithmetic(self.threads):
            probability = self._probability(X, device)
        network.cpu()
        return probability

    def _probability(self, X: np.ndarray, device: torch.device) -> np.ndarray:
        batches = torch.from_numpy(self._prepared(X)).split(PREDICTION_BATCH[device.type])
        dtype = next((one.dtype for one in self.network_.parameters()), torch.float32)
        logits = [self.network_(batch.to(device, dtype)).cpu().double() for batch in batches]
        probability = torch.softmax(torch.cat(logits), dim=1).numpy()
        if not np.isfinite(probability).all():
            raise InputError(
                "model: what the network says of some objects is no number, as of one whose training diverged; train "
                "it with a smaller classifier.learning_rate or with trainer.gradient_clip_val=1"
            )
        return probability

    def _interim_probability(self, X: np.ndarray) -> np.ndarray:
        """Return class probabilities in the middle of a training, which goes on as if nobody had asked."""
        device = torch_device(self.device)
        self.network_.eval()
        with torch.no_grad():
            probability = self._probability(X, device)
        self.network_.train()
        return probability

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
        with _arithmetic(self.threads), torch.autocast(device.type, torch.bfloat16, enabled=self._in_bf16(device)):
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

    def _in_bf16(self, device: torch.device) -> bool:
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

    def _train(
        self,
        images: np.ndarray,
        targets: np.ndarray,
        device: torch.device,
        bf16: bool,
        each_epoch: EachEpoch | None,
    ) -> None:
        """Train the network, or take it from a checkpoint of an earlier training."""
        checkpoints = self._checkpoints(images, targets, device, bf16)
        with ExitStack() as stack:
            if checkpoints:
                try:
                    stack.enter_context(checkpoints.lock())
                except OSError as error:
                    log.warning(
                        "No checkpoint can be saved in %s (%s); cache=off goes without", checkpoints.folder, error
                    )
                    checkpoints = None
            checkpoint = checkpoints.latest(self.epochs) if checkpoints else None
            if checkpoint and self._is_complete(checkpoint):
                log.info("The network is that of an earlier training of %d epochs", checkpoint.epochs)
                self.network_.load_state_dict(checkpoint.best or checkpoint.network)
                self.history_ = checkpoint.history
            else:
                save = _saver(checkpoints) if checkpoints else None
                self._continue(checkpoint, images, targets, device, bf16, save, each_epoch)

    def _is_complete(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.epochs == self.epochs or stopped_early(checkpoint.history, self.early_stopping)

    def _continue(
        self,
        checkpoint: Checkpoint | None,
        images: np.ndarray,
        targets: np.ndarray,
        device: torch.device,
        bf16: bool,
        save: Callable[[Checkpoint], None] | None,
        each_epoch: EachEpoch | None,
    ) -> None:
        """Train the network from a checkpoint on, or from the beginning."""
        from hiexp.classifiers.cnn.training import Examples, Training

        told = (lambda epoch: each_epoch(epoch, self._interim_probability)) if each_epoch else None
        if self._in_own_loop():
            self._continue_in_own_loop(checkpoint, images, targets, device, bf16, save, told)
            return
        tensor = torch.from_numpy(images).to(device, torch.bfloat16 if bf16 else torch.float32)
        examples, validation = Examples(tensor, torch.from_numpy(targets).to(device)), None
        if self.early_stopping:
            examples, validation = self._divided(examples, targets)
        training = Training(
            self.network_,
            examples,
            validation,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            class_weight=self._weights(targets, device),
            batch_size=self.batch_size,
            seed=self.seed,
            patience=self.early_stopping,
            save=save,
            save_seconds=self.checkpoint_seconds,
            each_epoch=told,
        )
        if checkpoint:
            training.restore(checkpoint)
            log.info("The training goes on after %d epochs of an earlier one", checkpoint.epochs)
        training.run(self.epochs, "bf16-mixed" if bf16 else "32-true")
        self.history_ = training.history

    def _in_own_loop(self) -> bool:
        """Return whether something is asked for that Lightning's own loop does."""
        return bool((self.trainer and self.trainer.asked) or self.schedule or hasattr(self.network_, "training_step"))

    def _continue_in_own_loop(
        self,
        checkpoint: Checkpoint | None,
        images: np.ndarray,
        targets: np.ndarray,
        device: torch.device,
        bf16: bool,
        save: Callable[[Checkpoint], None] | None,
        each_epoch: Callable[[int], None] | None,
    ) -> None:
        """Do what `_continue` does by Lightning's own loop."""
        from hiexp.classifiers.cnn.loop import Loop, training_module
        from hiexp.classifiers.cnn.training import Examples

        options, weights = self.trainer or TrainerOptions(), self._weights(targets, device)
        precision = options.precision or ("bf16-mixed" if bf16 else "32-true")
        dtype = torch.float64 if precision == "64-true" else torch.float32
        tensor = torch.from_numpy(images).to(device, dtype)
        examples, validation = Examples(tensor, torch.from_numpy(targets).to(device)), None
        if self.early_stopping:
            examples, validation = self._divided(examples, targets)
        rates = self.learning_rate, self.weight_decay
        loop = Loop(
            training_module(self.network_, *rates, weights, self.schedule),
            self.network_.to(device, dtype),
            *(examples, validation, weights, self.batch_size, self.seed, self.early_stopping),
            save if precision != "16-mixed" else None,  # whose loss has a scale of its own
            self.checkpoint_seconds,
            each_epoch,
        )
        if checkpoint:
            loop.restore(checkpoint)
            log.info("The training goes on after %d epochs of an earlier one", checkpoint.epochs)
        loop.run(self.epochs, precision, device, options)
        self.network_.float()
        self.history_ = loop.history

    def _divided(self, examples: Examples, targets: np.ndarray) -> tuple[Examples, Examples]:
        """Return the examples to learn from and the validation part."""
        try:
            training, validation = train_test_split(
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
        return examples.take(training), examples.take(validation)

    def _weights(self, targets: np.ndarray, device: torch.device) -> torch.Tensor | None:
        if self.class_weight != "balanced":
            return None
        weights = compute_class_weight("balanced", classes=np.unique(targets), y=targets)
        return torch.from_numpy(weights).float().to(device)

    def _checkpoints(
        self, images: np.ndarray, targets: np.ndarray, device: torch.device, bf16: bool
    ) -> Checkpoints | None:
        """Return the checkpoints of all trainings that differ from this one by nothing but `epochs`."""
        if self.checkpoints is None:
            return None
        elsewhere = {"network", "epochs", "precision", "device", "checkpoints", "checkpoint_seconds"}
        elsewhere |= {*self.used_by_fit_alone}
        options = {
            name: value for name, value in (self.trainer or TrainerOptions()).asked.items() if name != "logger"
        }
        settings = {
            "classifier": {name: value for name, value in self.get_params(False).items() if name not in elsewhere},
            "network": described(self.network),
            "loop": described([options, self.schedule]),
            "arithmetic": [str(device), bf16, torch.backends.cpu.get_cpu_capability(), version("numba")],
        }
        return Checkpoints(Path(self.checkpoints) / f"training-{fingerprint(settings, images, targets)}")


def _saver(checkpoints: Checkpoints) -> Callable[[Checkpoint], None]:
    """Return a function that saves each checkpoint in the place of the one before, until the training ends."""
    last = None

    def save(checkpoint: Checkpoint) -> None:
        nonlocal last
        try:
            last = checkpoints.save(checkpoint, instead_of=last)
        except OSError as error:
            log.warning("The checkpoint could not be saved in %s: %s", checkpoints.folder, error)

    return save


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
