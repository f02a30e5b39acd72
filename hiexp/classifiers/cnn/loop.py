"""A training by Lightning's own loop: of somebody's own modules, with a schedule, or with a Trainer set otherwise."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from tqdm import tqdm

from hiexp.classifiers.cnn.checkpoints import Checkpoint, History, best_epoch, stopped_early
from hiexp.classifiers.cnn.options import TrainerOptions
from hiexp.classifiers.cnn.training import DROPOUT, ORDER, Examples, quiet_lightning, stream
from hiexp.epochs import epoch_ended
from hiexp.errors import InputError

log = logging.getLogger(__name__)

SET_HERE = ("accelerator", "devices", "precision", "callbacks", "logger")
MONITORED = "validation_loss", "train_loss"  # what a schedule that looks at a number sees: the first that there is


class Module(pl.LightningModule):
    """Train a torch module with AdamW and cross-entropy.

    Parameters
    ----------
    network : Module
        Network to be trained, in place.
    learning_rate, weight_decay : float
        Learning rate and weight decay of AdamW.
    class_weight : Tensor or None
        Weights of the classes in the loss.
    schedule : callable or None
        Function that makes a scheduler of `torch.optim.lr_scheduler`, called after each epoch, of an optimiser.
    """

    def __init__(
        self,
        network: nn.Module,
        learning_rate: float,
        weight_decay: float,
        class_weight: torch.Tensor | None,
        schedule: Callable[[torch.optim.Optimizer], Any] | None,
    ) -> None:
        super().__init__()
        self.network, self.class_weight, self.schedule = network, class_weight, schedule
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.n_right = 0

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_index: int) -> torch.Tensor:
        """Return the loss of a batch, images and the indices of their classes."""
        images, targets = batch
        logits = self.network(images)
        self.n_right += int((logits.argmax(dim=1) == targets).sum())
        return nn.functional.cross_entropy(logits.float(), targets, self.class_weight)

    def configure_optimizers(self) -> Any:
        """Return AdamW, and the schedule where there is one."""
        optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )
        if self.schedule is None:
            return optimiser
        try:
            scheduler = self.schedule(optimiser)
        except (TypeError, ValueError) as error:
            raise InputError(f"schedule: torch refuses it ({error}); change its settings") from error
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "monitor": "monitored"}}


def training_module(
    network: nn.Module,
    learning_rate: float,
    weight_decay: float,
    class_weight: torch.Tensor | None,
    schedule: Callable[[torch.optim.Optimizer], Any] | None,
) -> pl.LightningModule:
    """Return what Lightning trains: the network itself where it has a ``training_step``, else `Module` of it.

    Raises
    ------
    InputError
        If it is a module of another package, or there is a schedule beside its own.
    """
    if not hasattr(network, "training_step"):
        return Module(network, learning_rate, weight_decay, class_weight, schedule)
    name = type(network).__name__
    if not isinstance(network, pl.LightningModule):
        raise InputError(f"model: {name} has a training_step; derive it from pytorch_lightning.LightningModule")
    if type(network).training_step is pl.LightningModule.training_step:
        return Module(network, learning_rate, weight_decay, class_weight, schedule)
    if schedule is not None:
        raise InputError(
            f"schedule: {name} trains itself, by the schedule that its configure_optimizers returns; leave it out"
        )
    return network


@dataclass
class Loop:
    """One training.

    Attributes
    ----------
    module : LightningModule
        `Module`, or one of somebody's own that has a ``training_step``.
    network : Module
        What returns logits: `module` itself, if it is somebody's own.
    examples : Examples
        Examples to learn from, in fp32.
    validation : Examples or None
        Examples that are not learned from.
    class_weight : Tensor or None
        Weights of the classes in the loss of `validation`.
    batch_size, seed
        Examples a batch, and seed of order and dropout.
    patience : int or None
        Epochs without a lower validation loss after which to stop.
    save : callable or None
        Function that is given a checkpoint every `save_seconds`, and one at the end.
    save_seconds : float
        Seconds of training between two checkpoints.
    each_epoch : callable or None
        Is told how many epochs have been trained, after each; what it raises ends the training.
    history : dict of list of float
        One value an epoch.
    best : dict of Tensor
        Weights with the lowest validation loss so far.
    """

    module: pl.LightningModule
    network: nn.Module
    examples: Examples
    validation: Examples | None
    class_weight: torch.Tensor | None
    batch_size: int
    seed: int
    patience: int | None
    save: Callable[[Checkpoint], None] | None
    save_seconds: float
    each_epoch: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        names = ["train_loss"] + (["train_accuracy"] if isinstance(self.module, Module) else [])
        names += ["validation_loss", "validation_accuracy"] if self.validation else []
        self.history: History = {name: [] for name in names}
        self.best: dict[str, torch.Tensor] = {}
        self.checkpoint: Checkpoint | None = None

    @property
    def epochs_done(self) -> int:
        """Number of epochs trained."""
        return len(self.history["train_loss"])

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same training."""
        self.network.load_state_dict(checkpoint.network)
        self.history, self.best, self.checkpoint = checkpoint.history, checkpoint.best, checkpoint

    def run(self, epochs: int, precision: str, device: torch.device, options: TrainerOptions) -> None:
        """Train until `epochs` epochs have been trained since the network was new, or the loss improves no more.

        Raises
        ------
        InputError
            If Lightning or the module refuses the settings.
        """
        asked = {name: value for name, value in options.asked.items() if name not in SET_HERE}
        progress = tqdm(
            total=epochs, initial=self.epochs_done, desc="training the network", unit="epoch", leave=False
        )
        with quiet_lightning(), progress, warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "Detected call of `lr_scheduler.step"
            )  # when it goes on from a checkpoint
            try:
                trainer = pl.Trainer(
                    max_epochs=epochs - self.epochs_done,
                    accelerator="gpu" if device.type == "cuda" else "cpu",
                    devices=1 if device.index is None else [device.index],
                    precision=precision,  # type: ignore[arg-type]
                    logger=list(options.logger) or False,  # type: ignore[arg-type]
                    callbacks=[*options.callbacks, _Epochs(self, progress)],  # type: ignore[list-item]
                    enable_checkpointing=any(isinstance(one, pl.callbacks.Checkpoint) for one in options.callbacks),
                    enable_progress_bar=False,
                    enable_model_summary=False,
                    **asked,
                )
            except (TypeError, ValueError, pl.utilities.exceptions.MisconfigurationException) as error:
                raise InputError(f"trainer: Lightning refuses it ({error}); change its settings") from error
            try:
                trainer.fit(self.module, _Batches(self))
            except (ArithmeticError, RuntimeError) as error:
                if type(error).__module__.startswith("torch"):  # memory, for example
                    raise
                raise InputError(f"trainer, schedule or model: the training stops ({error})") from error
        self.module.trainer = None
        if self.best:
            self.network.load_state_dict(self.best)


class _Epochs(pl.Callback):
    """What is done around each epoch: random numbers, history, validation, checkpoints, the bar."""

    def __init__(self, loop: Loop, progress: tqdm) -> None:
        self.loop, self.progress = loop, progress

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Bring optimiser and schedule to where a checkpoint has left them, and start the clock."""
        self.saved_at = time.monotonic()
        checkpoint = self.loop.checkpoint
        if checkpoint is None:
            return
        optimiser = trainer.optimizers[0]
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": checkpoint.optimiser, "param_groups": groups})
        for epoch in range(checkpoint.epochs):
            for one in trainer.lr_scheduler_configs:
                monitored = [checkpoint.history[name][epoch] for name in MONITORED if name in checkpoint.history]
                one.scheduler.step(*monitored[:1] if one.reduce_on_plateau else ())

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Draw the dropout of an epoch from a stream of its own."""
        torch.manual_seed(stream(self.loop.seed, self.loop.epochs_done, DROPOUT))
        self.loss_sum, self.n_seen = 0.0, 0
        if isinstance(module, Module):
            module.n_right = 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add up the loss."""
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is None:
            raise InputError(f"model: training_step of {type(module).__name__} returns no loss; return it")
        self.loss_sum += float(loss) * len(batch[1])
        self.n_seen += len(batch[1])

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Note how the epoch went, save a checkpoint now and then, and see whether there is more to gain."""
        loop = self.loop
        loop.history["train_loss"].append(self.loss_sum / self.n_seen)
        if isinstance(module, Module):
            loop.history["train_accuracy"].append(module.n_right / self.n_seen)
        if loop.validation:
            self._validate(loop.validation)
            trainer.should_stop = stopped_early(loop.history, loop.patience)
        last = {name: values[-1] for name, values in loop.history.items()}
        module.log_dict(last)
        module.log("monitored", next(last[name] for name in MONITORED if name in last), logger=False)
        ends = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if loop.save and (ends or time.monotonic() - self.saved_at > loop.save_seconds):
            self._save(trainer)
        epoch_ended(loop.epochs_done, last)
        self.progress.set_postfix(loss=f"{last['train_loss']:.3f}", refresh=False)
        self.progress.update()
        if loop.each_epoch:
            loop.each_epoch(loop.epochs_done)

    def _save(self, trainer: pl.Trainer) -> None:
        """Save a checkpoint, unless the next epoch depends on what it does not hold."""
        loop, states = self.loop, [optimiser.state_dict()["state"] for optimiser in trainer.optimizers]
        values = [value for state in states for one in state.values() for value in one.values()]
        own_schedule = trainer.lr_scheduler_configs and not isinstance(loop.module, Module)
        if len(states) != 1 or own_schedule or not all(isinstance(value, torch.Tensor) for value in values):
            log.info("No checkpoint: the optimiser or the schedule of this module holds more than one has")
            loop.save = None
            return
        assert loop.save is not None
        loop.save(Checkpoint(loop.history, loop.network.state_dict(), loop.best, states[0]))
        self.saved_at = time.monotonic()

    def _validate(self, validation: Examples) -> None:
        network, history = self.loop.network, self.loop.history
        network.eval()
        with torch.no_grad():
            logits = network(validation.images.to(next(network.parameters()).dtype)).float()
            loss = nn.functional.cross_entropy(logits, validation.targets, self.loop.class_weight)
        network.train()
        history["validation_loss"].append(float(loss))
        right = logits.argmax(dim=1) == validation.targets
        history["validation_accuracy"].append(float(right.double().mean()))
        if best_epoch(history) == self.loop.epochs_done - 1:
            self.loop.best = {name: value.clone() for name, value in network.state_dict().items()}


@dataclass(frozen=True)
class _Batches:
    """The batches of an epoch, images and classes: shuffled anew in each, by a stream of its own."""

    loop: Loop

    def __len__(self) -> int:
        n, size = len(self.loop.examples), self.loop.batch_size
        return n // size if n % size == 1 else -(-n // size)  # batch norm cannot take a batch of one

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        loop = self.loop
        generator = torch.Generator().manual_seed(stream(loop.seed, loop.epochs_done, ORDER))
        order = torch.randperm(len(loop.examples), generator=generator).to(loop.examples.targets.device)
        for rows in order.split(loop.batch_size)[: len(self)]:
            batch = loop.examples.take(rows)
            yield batch.images, batch.targets
