"""A convolutional network, trained by Lightning, behind scikit-learn's classifier interface."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import numpy as np
import pytorch_lightning as pl
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset
from tqdm import tqdm

from hiexp.classifiers.network import ConvNet
from hiexp.errors import InputError

PREDICTION_BATCH = 1024


class CNNClassifier(ClassifierMixin, BaseEstimator):
    """Train a network on images with AdamW and cross-entropy.

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
    precision : {"auto", "32"}
        "auto" trains under bf16 autocast where the processor computes in bf16, "32" in fp32 throughout.
        Predictions are made in fp32.
    device : {"cpu", "cuda", "auto"}
        Where to train and predict.
    seed : int
        Of the weights, the order of the batches and the dropout.

    Attributes
    ----------
    classes_ : ndarray
        The class labels.
    network_ : torch.nn.Module
        The trained network, on the CPU.
    history_ : dict of list of float
        ``train_loss`` and ``train_accuracy`` of each epoch.
    """

    def __init__(
        self,
        network: ConvNet,
        epochs: int = 50,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-5,
        precision: str = "auto",
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        self.network = network
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.precision = precision
        self.device = device
        self.seed = seed

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Train on images `X`, shape (N, channels, height, width), of classes `y`, shape (N,).

        Raises
        ------
        InputError
            If `X` are no images, or the settings cannot be met on this machine.
        """
        if X.ndim != 4:
            raise InputError(
                f"classifier=cnn takes images, this feature gives arrays of shape {X.shape[1:]}; use feature=image2d"
            )
        check_classification_targets(y)
        if self.epochs < 1:
            raise InputError(f"epochs={self.epochs}: train for at least one epoch")
        if str(self.precision) not in ("auto", "32"):
            raise InputError(f"classifier.precision={self.precision}: choose auto or 32")
        device = torch_device(self.device)
        self.classes_, targets = np.unique(y, return_inverse=True)
        self.image_shape_ = X.shape[1:]
        self.history_ = {"train_loss": [], "train_accuracy": []}
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(self.seed)
            self.network_ = self.build_network()
            data = TensorDataset(torch.from_numpy(np.ascontiguousarray(X, np.float32)), torch.from_numpy(targets))
            self._train(data, device)
        # In the layout that weights are stored in, so that a model loaded gives the same numbers to the last bit.
        self.network_.to(memory_format=torch.contiguous_format).eval()
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return class probabilities, shape (N, n_classes), in the order of ``classes_``."""
        check_is_fitted(self, "network_")
        device = torch_device(self.device)
        network = self.network_.to(device).eval()
        with torch.inference_mode():
            batches = torch.from_numpy(np.ascontiguousarray(X, np.float32)).split(PREDICTION_BATCH)
            logits = [network(batch.to(device)).cpu().double() for batch in batches]
        network.cpu()
        return torch.softmax(torch.cat(logits), dim=1).numpy()

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the most probable class of each image, shape (N,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def build_network(self) -> nn.Module:
        """Return the network untrained, as `fit` starts from and as stored weights are loaded into."""
        return self.network.build(self.image_shape_, len(self.classes_))

    def _train(self, data: TensorDataset, device: torch.device) -> None:
        # Batch norm cannot take a batch of one: an odd image out waits for the next epoch's shuffle.
        lone = len(data) % self.batch_size == 1
        batches = BatchSampler(RandomSampler(data), self.batch_size, drop_last=lone)
        loader = DataLoader(data, sampler=batches, batch_size=None)
        with _quiet_lightning():
            trainer = pl.Trainer(
                max_epochs=self.epochs,
                accelerator="gpu" if device.type == "cuda" else "cpu",
                devices=1,
                precision="bf16-mixed" if self.precision == "auto" and _computes_bf16(device) else "32-true",
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            trainer.fit(_Training(self), loader)


class _Training(pl.LightningModule):
    """One training of a classifier's network."""

    def __init__(self, classifier: CNNClassifier) -> None:
        super().__init__()
        self.network = classifier.network_.to(memory_format=torch.channels_last)
        self.learning_rate = classifier.learning_rate
        self.weight_decay = classifier.weight_decay
        self.history = classifier.history_

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

    def on_train_start(self) -> None:
        self.bar = tqdm(total=self.trainer.max_epochs, desc="training the network", unit="epoch", leave=False)

    def on_train_epoch_start(self) -> None:
        self.loss_sum = self.n_right = torch.zeros((), device=self.device)
        self.n_seen = 0

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        images, targets = batch
        logits = self.network(images.contiguous(memory_format=torch.channels_last))
        loss = nn.functional.cross_entropy(logits, targets)
        self.loss_sum = self.loss_sum + loss.detach() * len(targets)
        self.n_right = self.n_right + (logits.argmax(dim=1) == targets).sum()
        self.n_seen += len(targets)
        return loss

    def on_train_epoch_end(self) -> None:
        self.history["train_loss"].append(float(self.loss_sum) / self.n_seen)
        self.history["train_accuracy"].append(float(self.n_right) / self.n_seen)
        self.bar.set_postfix(loss=f"{self.history['train_loss'][-1]:.3f}", refresh=False)
        self.bar.update()

    def on_train_end(self) -> None:
        self.bar.close()


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Hold back Lightning's notes on the devices it sees and its advice on data loaders; errors still show."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            yield
    finally:
        logger.setLevel(level)


def torch_device(name: str) -> torch.device:
    """Return the device that `name` (cpu, cuda or auto) stands for on this machine.

    Raises
    ------
    InputError
        If it is another name, or cuda where torch sees no GPU.
    """
    if name not in ("cpu", "cuda", "auto"):
        raise InputError(f"device={name}: choose cpu, cuda or auto")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device=cuda: torch sees no CUDA device on this machine; use device=cpu or device=auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _computes_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
