"""Learned shapelets by tslearn (Tavenard et al. 2020, JMLR 21, 118), as in the study; for comparison."""

from __future__ import annotations

import os
import warnings

import numpy as np
import torch

from hiexp.errors import InputError
from hiexp.features.shapelets import LearnedShapelets


class TslearnShapelets(LearnedShapelets):
    """`LearnedShapelets` trained by tslearn on keras, on whatever device keras chooses.

    Parameters and attributes are those of `LearnedShapelets`, and what is done with the shapelets once they are
    learned is done there. keras seeds the global random states.
    """

    def _learn(self, series: np.ndarray, targets: np.ndarray) -> None:
        os.environ["KERAS_BACKEND"] = "torch"  # read when keras is imported
        try:
            import keras
            from tslearn.shapelets import LearningShapelets
        except ModuleNotFoundError as error:
            raise InputError(
                f'feature=shapelet_tslearn: {error.name} is not installed; pip install "hiexp[keras]", '
                "or use feature=shapelet, which needs no keras"
            ) from error
        optimizer = {"class_name": self.optimizer, "config": {"learning_rate": self.learning_rate}}
        model = LearningShapelets(
            n_shapelets_per_size=dict(zip(self.lengths, self.counts, strict=True)),
            max_iter=self.epochs,
            batch_size=self.batch_size,
            optimizer=keras.optimizers.get(optimizer),
            weight_regularizer=self.weight_regularizer,
            random_state=self.seed,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The default value for 'scale'", FutureWarning)
            warnings.filterwarnings("ignore", ".*was passed an input with a mask", UserWarning)
            model.fit(series[:, :, None], targets)
        kind = "binary" if len(self.classes_) == 2 else "categorical"
        self.history_ = {
            "shapelet_loss": model.history_[f"{kind}_crossentropy"],
            "shapelet_accuracy": model.history_[f"{kind}_accuracy"],
        }
        self.network_ = self.build_network()
        weight, bias = model.get_weights("classification")
        if kind == "binary":  # one output, the logit of the second class against the first
            weight, bias = np.hstack([0 * weight, weight]), np.append(0 * bias, bias)
        with torch.no_grad():
            for row, shapelet in zip(self.network_.shapelets, model.shapelets_, strict=True):
                row[: len(shapelet)] = torch.from_numpy(shapelet[:, 0])
            self.network_.classification.weight.copy_(torch.from_numpy(weight.T))
            self.network_.classification.bias.copy_(torch.from_numpy(bias))
