"""What Lightning's own loop trains: a Trainer set otherwise, a schedule, modules of somebody's own."""

import functools
import logging

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from helpers.networks import ON_A_GPU, SMALL, two_kinds_of_image
from pytorch_lightning.loggers import CSVLogger
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau, StepLR

from hiexp.classifiers import CNNClassifier
from hiexp.classifiers.cnn.options import OwnNetwork, TrainerOptions
from hiexp.errors import InputError
from hiexp.run.model_files import load_model, save_model

X, Y = two_kinds_of_image()


class Net(nn.Module):
    def __init__(self, image_shape, n_classes, units=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(int(np.prod(image_shape)), units),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(units, n_classes),
        )

    def forward(self, images):
        return self.layers(images)


class OwnLightning(pl.LightningModule):
    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.net = Net(image_shape, n_classes)

    def forward(self, images):
        return self.net(images)

    def training_step(self, batch, batch_index):
        images, classes = batch
        return nn.functional.cross_entropy(self(images), classes, label_smoothing=0.05)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


class Rates(pl.Callback):
    def __init__(self):
        self.rates = []

    def on_train_epoch_start(self, trainer, module):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


def trained(network=SMALL, **settings):
    settings = {"epochs": 4, "learning_rate": 0.01, "precision": "32"} | settings
    return CNNClassifier(network, **settings).fit(X, Y)


@pytest.mark.parametrize("trainer", [None, TrainerOptions(), TrainerOptions(callbacks=[], logger=[], devices=1)])
def test_with_nothing_asked_the_shortest_way_is_taken(trainer, monkeypatch):
    monkeypatch.setattr(CNNClassifier, "_continue_in_own_loop", None)
    expected, found = trained(), trained(trainer=trainer)
    assert found.history_ == expected.history_
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


def test_the_own_loop_trains_the_same_network_but_for_rounding():
    fast, own = trained(), trained(trainer=TrainerOptions(callbacks=[Rates()]))
    for name, values in fast.history_.items():
        np.testing.assert_allclose(own.history_[name], values, rtol=1e-3, err_msg=name)
    np.testing.assert_allclose(own.predict_proba(X), fast.predict_proba(X), atol=1e-3)


def test_a_small_clip_holds_the_weights_back():
    free, held = trained(SMALL, epochs=1), trained(SMALL, epochs=1, trainer=TrainerOptions(gradient_clip_val=1e-9))
    start = trained(SMALL, epochs=1, learning_rate=1e-12)
    moved = [abs(one.network_[-1].bias - start.network_[-1].bias).max() for one in (free, held)]
    assert moved[1] < moved[0]


def test_gradients_of_several_batches_are_a_step():
    class Steps(pl.Callback):
        def on_train_end(self, trainer, module):
            self.taken = trainer.global_step

    steps = Steps()
    trained(epochs=3, trainer=TrainerOptions(accumulate_grad_batches=2, callbacks=[steps]))
    assert steps.taken == 3


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed", "32-true"])
def test_precisions(precision):
    found = trained(
        epochs=8, trainer=TrainerOptions(precision=precision, accumulate_grad_batches=1, callbacks=[Rates()])
    )
    assert found.score(X, Y) > 0.9
    assert {weights.dtype for weights in found.network_.parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_every_precision_goes_on_from_a_checkpoint_to_the_last_bit(tmp_path, precision):
    options = TrainerOptions(precision=precision, gradient_clip_val=0.5)
    expected = trained(trainer=options)
    trained(epochs=2, trainer=options, checkpoints=str(tmp_path))
    for _ in range(2):  # from half of the way, and from the end
        found = trained(trainer=options, checkpoints=str(tmp_path))
        assert found.history_ == expected.history_
        np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


def test_a_logger_has_the_course_of_the_training(tmp_path):
    logger = CSVLogger(tmp_path)
    found = trained(trainer=TrainerOptions(logger=[logger]))
    rows = np.genfromtxt(tmp_path / "lightning_logs/version_0/metrics.csv", delimiter=",", names=True)
    np.testing.assert_allclose(rows["train_loss"], found.history_["train_loss"], rtol=1e-5)


def test_a_schedule_sets_the_rate_of_each_epoch_and_goes_on_from_a_checkpoint_to_the_last_bit(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    settings = {"schedule": functools.partial(StepLR, step_size=2, gamma=0.1), "checkpoints": str(tmp_path)}
    rates = Rates()
    expected = trained(epochs=5, schedule=settings["schedule"], trainer=TrainerOptions(callbacks=[rates]))
    np.testing.assert_allclose(rates.rates, [1e-2, 1e-2, 1e-3, 1e-3, 1e-4])
    trained(epochs=3, **settings)
    found = trained(epochs=5, **settings)
    assert "goes on after 3 epochs" in caplog.text
    assert found.history_ == expected.history_
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    other = trained(epochs=3, **settings | {"schedule": functools.partial(CosineAnnealingLR, T_max=3)})
    assert other.history_["train_loss"] != found.history_["train_loss"][:3]


def test_a_schedule_that_looks_at_the_loss_with_early_stopping(tmp_path):
    rates = Rates()
    schedule = functools.partial(ReduceLROnPlateau, patience=0, threshold=10.0, threshold_mode="abs")
    settings = {"schedule": schedule, "early_stopping": 3, "class_weight": "balanced"}
    found = trained(epochs=20, **settings, trainer=TrainerOptions(callbacks=[rates]))
    assert rates.rates[:4] == pytest.approx([1e-2, 1e-2, 1e-3, 1e-4])
    assert len(found.history_["validation_loss"]) == len(rates.rates)


def test_a_module_of_ones_own_is_built_by_the_seed_and_resumed(tmp_path):
    one, two = (trained(OwnNetwork(Net, {"units": 16}), epochs=8) for _ in range(2))
    assert one.score(X, Y) > 0.9
    assert one.history_ == two.history_
    assert one.network_.layers[1].out_features == 16
    trained(OwnNetwork(Net, {}), epochs=2, checkpoints=str(tmp_path))
    resumed = trained(OwnNetwork(Net, {}), epochs=4, checkpoints=str(tmp_path))
    assert resumed.history_ == trained(OwnNetwork(Net, {})).history_
    assert len(list(tmp_path.glob("training-*"))) == 1


@pytest.mark.parametrize("settings", [{}, {"early_stopping": 2, "epochs": 30}])
def test_a_lightning_module_trains_itself(tmp_path, settings):
    settings = {"epochs": 8} | settings
    found = trained(OwnNetwork(OwnLightning, {}), **settings)
    assert found.score(X, Y) > 0.9
    assert "train_accuracy" not in found.history_
    trained(OwnNetwork(OwnLightning, {}), **settings | {"epochs": 2}, checkpoints=str(tmp_path))
    resumed = trained(OwnNetwork(OwnLightning, {}), **settings, checkpoints=str(tmp_path))
    assert resumed.history_ == found.history_
    np.testing.assert_array_equal(resumed.predict_proba(X), found.predict_proba(X))


def test_a_trained_module_of_ones_own_is_stored_without_its_schedule_and_loaded_by_who_trusts_it(tmp_path):
    from sklearn.pipeline import Pipeline

    found = trained(
        OwnNetwork(Net, {}),
        schedule=functools.partial(StepLR, step_size=2),
        trainer=TrainerOptions(callbacks=[Rates()], devices=1),
    )
    save_model(Pipeline([("classifier", found)]), tmp_path)
    assert found.schedule is not None
    name = f"{Net.__module__}.Net"
    with pytest.raises(InputError, match=r"not trusted by default.*Net"):
        load_model(tmp_path)
    loaded = load_model(tmp_path, trusted=[name])
    assert loaded["classifier"].schedule is None
    np.testing.assert_array_equal(loaded.predict_proba(X), found.predict_proba(X))


class WrongShape(Net):
    def forward(self, images):
        return self.layers(images)[:, :1]


class WrongInput(Net):
    def forward(self, images):
        return self.layers[1](images)


class NoLoss(OwnLightning):
    def training_step(self, batch, batch_index):
        return None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"network": OwnNetwork(WrongShape, {})},
            r"model: WrongShape returns shape \(2, 1\) for 2 images",
        ),
        ({"network": OwnNetwork(WrongInput, {})}, r"model: WrongInput refuses images of shape \(2, 1, 12, 12\)"),
        ({"network": OwnNetwork(NoLoss, {})}, "model: training_step of NoLoss returns no loss"),
        (
            {"network": OwnNetwork(OwnLightning, {}), "schedule": functools.partial(StepLR, step_size=1)},
            "schedule: OwnLightning trains itself",
        ),
        ({"network": OwnNetwork(dict, {})}, "model._target_=dict: give a class of torch modules"),
        ({"schedule": StepLR}, "schedule: torch refuses it"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(settings, said):
    with pytest.raises(InputError, match=said) as refused:
        trained(**settings)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("devices", [2, [0, 1], []])
def test_several_devices_are_refused(devices):
    with pytest.raises(InputError, match="a training keeps to one device"):
        TrainerOptions(devices=devices)


@ON_A_GPU
@pytest.mark.parametrize("precision", [None, "16-mixed"])
def test_a_gpu_by_the_own_loop(precision):
    options = TrainerOptions(accelerator="gpu", devices=[0], precision=precision, gradient_clip_val=1.0)
    assert trained(epochs=8, trainer=options).score(X, Y) > 0.9


def test_a_network_that_has_diverged_is_no_classifier_of_one_class():
    with pytest.raises(InputError, match=r"is no number.*classifier\.learning_rate"):
        CNNClassifier(SMALL, epochs=2, learning_rate=1e30).fit(X, Y).predict(X)
