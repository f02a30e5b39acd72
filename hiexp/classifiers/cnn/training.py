"""One training of a network, by Lightning."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn
from tqdm import tqdm

from hiexp.classifiers.cnn.checkpoints import Checkpoint, History, best_epoch, stopped_early
from hiexp.classifiers.cnn.cuda_graph import CudaGraphStep
from hiexp.epochs import epoch_ended

ORDER, DROPOUT = range(2)  # streams of random numbers


@dataclass(frozen=True)
class Examples:
    """Images (or profiles), shape (N, channels, ...), and the index of each one's class, shape (N,)."""

    images: torch.Tensor
    targets: torch.Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: torch.Tensor | np.ndarray) -> Examples:
        """Return some of them."""
        return Examples(self.images[rows], self.targets[rows])


class Training(pl.LightningModule):
    """Train a network with AdamW and cross-entropy, one epoch after the other.

    Parameters
    ----------
    network : Module
        Network to be trained, in place.
    examples : Examples
        Examples to learn from.
    validation : Examples or None
        Examples that are not learned from; the training stops when their loss has not improved for `patience` epochs.
    learning_rate, weight_decay : float
        Learning rate and weight decay of AdamW.
    class_weight : Tensor or None
        Weights of the classes in the loss.
    batch_size : int
        Examples a step.
    seed : int
        Seed of order and dropout.
    patience : int or None
        Epochs without a lower validation loss.
    save : callable or None
        Function that is given a checkpoint every `save_seconds`, and one at the end.
    save_seconds : float
        Seconds of training between two checkpoints.
    each_epoch : callable or None
        Is told how many epochs have been trained, after each; what it raises ends the training.
    """

    def __init__(
        self,
        network: nn.Module,
        examples: Examples,
        validation: Examples | None,
        *,
        learning_rate: float,
        weight_decay: float,
        class_weight: torch.Tensor | None,
        batch_size: int,
        seed: int,
        patience: int | None,
        save: Callable[[Checkpoint], None] | None,
        save_seconds: float,
        each_epoch: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = network
        self.examples = examples
        self.gpu = examples.images.is_cuda
        self.validation = validation
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.class_weight = class_weight
        self.batch_size = batch_size
        self.seed = seed
        self.patience = patience
        self.save = save
        self.save_seconds = save_seconds
        self.each_epoch = each_epoch
        names = ["train_loss", "train_accuracy"]
        names += ["validation_loss", "validation_accuracy"] if validation else []
        self.history: History = {name: [] for name in names}
        self.best: dict[str, torch.Tensor] = {}
        self.optimiser_state: dict[int, dict[str, torch.Tensor]] = {}

    @property
    def epochs_done(self) -> int:
        """Number of epochs trained."""
        return len(self.history["train_loss"])

    def run(self, epochs: int, precision: Literal["bf16-mixed", "32-true"]) -> None:
        """Train until `epochs` epochs have been trained since the network was new, or the loss improves no more.

        Where there are validation examples, the network is then the one with the lowest loss on them.
        """
        self.progress = tqdm(
            total=epochs,
            initial=self.epochs_done,
            desc="training the network",
            unit="epoch",
            leave=False,
        )
        with quiet_lightning(), self.progress:
            trainer = pl.Trainer(
                max_epochs=epochs - self.epochs_done,
                accelerator="gpu" if self.gpu else "cpu",
                devices=1,
                precision=precision,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            self.step = CudaGraphStep(self.learn) if self.gpu else self.learn
            trainer.fit(self, _Batches(self))
            del self.step  # and with it a GPU's memory
        if self.best:
            self.network.load_state_dict(self.best)

    def checkpoint(self) -> Checkpoint:
        """Return what the next epoch depends on."""
        return Checkpoint(self.history, self.network.state_dict(), self.best, self._optimiser().state_dict()["state"])

    def _optimiser(self) -> torch.optim.Optimizer:
        return cast("torch.optim.Optimizer", self.optimizers(use_pl_optimizer=False))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same training."""
        self.network.load_state_dict(checkpoint.network)
        self.history, self.best, self.optimiser_state = checkpoint.history, checkpoint.best, checkpoint.optimiser

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW, as far as it has come."""
        optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            fused=True,
            capturable=self.gpu,
        )
        if self.optimiser_state:
            groups = optimiser.state_dict()["param_groups"]
            optimiser.load_state_dict({"state": self.optimiser_state, "param_groups": groups})
        return optimiser

    def on_train_start(self) -> None:
        """Start the clock of `save_seconds`, and give the sums of an epoch their place."""
        self.saved_at = time.monotonic()
        self.loss_sum, self.n_right = torch.zeros(2, device=self.device)

    def on_train_epoch_start(self) -> None:
        """Draw the dropout of an epoch from a stream of its own."""
        # torch.manual_seed would note its caller each time, for a GPU that may not be there.
        seed = torch.cuda.manual_seed if self.gpu else torch.default_generator.manual_seed
        seed(stream(self.seed, self.epochs_done, DROPOUT))
        self.loss_sum.zero_()
        self.n_right.zero_()
        self.n_seen = 0

    def training_step(self, rows: torch.Tensor, batch_index: int) -> None:
        """Take one step, on one batch."""
        self.step(rows)
        self.n_seen += len(rows)

    def learn(self, rows: torch.Tensor) -> None:
        """Take a step of the optimiser on some of the examples, and add up how well they were known before."""
        batch = self.examples.take(rows)
        logits = self.network(batch.images)
        loss = nn.functional.cross_entropy(logits, batch.targets, self.class_weight)
        optimiser = self._optimiser()
        with torch.autocast(self.device.type, enabled=False):  # the backward pass has the types of the forward pass
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        self.loss_sum += loss.detach() * len(batch)
        self.n_right += (logits.argmax(dim=1) == batch.targets).sum()

    def on_train_epoch_end(self) -> None:
        """Note how the epoch went, save a checkpoint now and then, and see whether there is more to gain."""
        self.history["train_loss"].append(float(self.loss_sum) / self.n_seen)
        self.history["train_accuracy"].append(float(self.n_right) / self.n_seen)
        if self.validation:
            self._validate(self.validation)
            self.trainer.should_stop = stopped_early(self.history, self.patience)
        last = self.trainer.should_stop or self.trainer.current_epoch + 1 == self.trainer.max_epochs
        if self.save and (last or time.monotonic() - self.saved_at > self.save_seconds):
            self.save(self.checkpoint())
            self.saved_at = time.monotonic()
        epoch_ended(self.epochs_done, {name: values[-1] for name, values in self.history.items()})
        self.progress.set_postfix(loss=f"{self.history['train_loss'][-1]:.3f}", refresh=False)
        self.progress.update()
        if self.each_epoch:
            self.each_epoch(self.epochs_done)

    def _validate(self, validation: Examples) -> None:
        self.network.eval()
        with torch.no_grad():
            logits = self.network(validation.images.float())
            loss = nn.functional.cross_entropy(logits, validation.targets, self.class_weight)
        self.network.train()
        self.history["validation_loss"].append(float(loss))
        right = logits.argmax(dim=1) == validation.targets
        self.history["validation_accuracy"].append(float(right.double().mean()))
        if best_epoch(self.history) == self.epochs_done - 1:
            self.best = {name: value.clone() for name, value in self.network.state_dict().items()}


@dataclass(frozen=True)
class _Batches:
    """The batches of an epoch, as indices: shuffled anew in each, by a stream of its own."""

    training: Training

    def __len__(self) -> int:
        n, size = len(self.training.examples), self.training.batch_size
        # Batch norm cannot take a batch of one: an odd image out waits for the next epoch's shuffle.
        return n // size if n % size == 1 else -(-n // size)

    def __iter__(self) -> Iterator[torch.Tensor]:
        training = self.training
        generator = torch.Generator().manual_seed(stream(training.seed, training.epochs_done, ORDER))
        order = torch.randperm(len(training.examples), generator=generator).to(training.examples.targets.device)
        yield from order.split(training.batch_size)[: len(self)]


def stream(seed: int, epoch: int, purpose: int) -> int:
    """Return the seed of one stream of random numbers."""
    return int(np.random.SeedSequence([seed, epoch, purpose]).generate_state(1)[0])


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Hold back Lightning's notes on the devices it sees and its advice on data loaders; errors still show."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", "The `srun` command is available")  # jobs of a scheduler need no other
            yield
    finally:
        logger.setLevel(level)
