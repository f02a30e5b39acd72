"""A network of somebody's own: a file of code and a file of settings beside where the command is typed."""

import pandas as pd
import pytest
from helpers.commands import command, train

CODE = """
import pytorch_lightning as pl
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, image_shape, n_classes: int, filters: int = 8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(image_shape[0], filters, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
        )
        self.logits = nn.Linear(4 * filters, n_classes)

    def forward(self, images):
        return self.logits(self.layers(images))


class Lit(pl.LightningModule):
    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.net = Net(image_shape, n_classes)

    def forward(self, images):
        return self.net(images)

    def training_step(self, batch, batch_index):
        images, classes = batch
        loss = nn.functional.cross_entropy(self(images), classes, label_smoothing=0.1)
        self.log("smoothed", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)
"""
QUICK = ["dataset.n_galaxies=60", "epochs=2", "feature.size=16", "tracking=none", "evaluation.permutations=20"]


@pytest.fixture
def own(tmp_path):
    (tmp_path / "my_networks.py").write_text(CODE)
    models = tmp_path / "my_configs" / "model"
    models.mkdir(parents=True)
    (models / "mine.yaml").write_text("_target_: my_networks.Net\nfilters: 4\n")
    (models / "lit.yaml").write_text("_target_: my_networks.Lit\n")
    return [f"hydra.searchpath=[file://{tmp_path}/my_configs]", *QUICK]


@pytest.mark.slow
def test_it_is_trained_with_a_schedule_and_applied_by_who_trusts_it(tmp_path, own):
    words = ["model=mine", "schedule=cosine", "trainer.gradient_clip_val=1", "hydra.run.dir=mine"]
    trained = train(*own, *words, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert (tmp_path / "mine" / "plots" / "saliency.png").exists()
    words = ["run=mine", "dataset=mock_cig", "dataset.n_galaxies=20", "tracking=none", "permutations=20"]
    refused = command("hiexp.predict", *words, cwd=tmp_path)
    assert refused.returncode == 1
    assert "trust=[my_networks.Net]" in refused.stderr
    applied = command("hiexp.predict", *words, "trust=[my_networks.Net]", "hydra.run.dir=applied", cwd=tmp_path)
    assert applied.returncode == 0, applied.stderr
    assert len(pd.read_csv(tmp_path / "applied" / "predictions.csv")) == 20


@pytest.mark.slow
def test_a_lightning_module_with_a_logger(tmp_path, own):
    logger = "trainer.logger=[{_target_: pytorch_lightning.loggers.CSVLogger, save_dir: logs}]"
    trained = train(*own, "model=lit", logger, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    (logged,) = tmp_path.glob("logs/**/metrics.csv")
    assert "train_loss" in pd.read_csv(logged)


@pytest.mark.slow
def test_faults_of_it_are_found_before_anything_is_computed(tmp_path, own):
    words = ["model=mine", "+model.filter=2", "model.filters=x", "+trainer.precison=16", "schedule=step"]
    refused = train(*own, *words, "trainer.devices=2", "schedule.gamma=[1]", cwd=tmp_path)
    assert refused.returncode == 1
    lines = refused.stderr.strip().splitlines()
    starts = [
        "model.filter=2: nothing reads this key; do you mean model.filters?",
        "model.filters=x: give a whole number",
        "trainer.devices=2: give one of 1 or a list of",
        "trainer.precison=16: nothing reads this key; do you mean trainer.precision?",
        "schedule.gamma=[1]: give a number",
    ]
    assert all(any(line.startswith(start) for line in lines) for start in starts), refused.stderr
    assert len(lines) == len(starts)
