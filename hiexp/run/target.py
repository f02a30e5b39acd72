"""The spectra that a sky is like, to which a training applies its model."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from omegaconf import DictConfig, OmegaConf

from hiexp.run.transfer import LIKE, TRANSFER_FOLDER, prefixed, real_settings

if TYPE_CHECKING:
    from hiexp.fitting import FitResult
    from hiexp.run.outcome import Outcome
    from hiexp.run.prediction import Prediction
    from hiexp.spectra import Spectra

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """The spectra that a sky is like, fitted as those of the sky are.

    Attributes
    ----------
    spectra : Spectra
        All of them.
    fit : FitResult
        Their fits.
    folder : Path
        Where the tables of both are, and where what comes of them goes.
    """

    spectra: Spectra
    fit: FitResult
    folder: Path

    @classmethod
    def of(cls, cfg: DictConfig, folder: Path, metrics: dict[str, float]) -> Self | None:
        """Read and fit the spectra, before a training that would be of no use without them.

        Parameters
        ----------
        cfg : DictConfig
            A composed ``conf/train.yaml``.
        folder : Path
            The run's, which receives `TRANSFER_FOLDER`.
        metrics : dict
            Receives counts and seconds, their names after `PREFIX`.

        Returns
        -------
        Target or None
            None where nothing is to be transferred.

        Raises
        ------
        InputError
            If they cannot be read, or none has a line.
        """
        from hiexp.run.experiment import fit_sample

        real = real_settings(cfg)
        if not real:
            return None
        log.info("The spectra that the sky is like, dataset.like=%s:", cfg.dataset[LIKE])
        settings: Any = OmegaConf.to_container(cfg, resolve=True)
        found: dict[str, float] = {}
        spectra, fit = fit_sample(OmegaConf.create(settings | real), folder / TRANSFER_FOLDER, found)
        metrics |= prefixed(found | fit.metrics())
        return cls(spectra, fit, folder / TRANSFER_FOLDER)

    def predict(self, cfg: DictConfig, outcome: Outcome, metrics: dict[str, float]) -> Prediction:
        """Predict the classes by what a training has learned, and write what `hiexp.predict` would.

        Parameters
        ----------
        cfg : DictConfig
            The training's.
        outcome : Outcome
            What it has given.
        metrics : dict
            Receives the numbers of the prediction, their names after `PREFIX`.
        """
        from hiexp.run.experiment import predict_fitted
        from hiexp.run.prediction import TrainedModel

        trained, found = TrainedModel.of(cfg, outcome, self.folder.parent), dict[str, float]()
        draws = cfg.evaluation.parameters, cfg.evaluation.permutations, cfg.seed
        prediction = predict_fitted(trained, self.spectra, self.fit, *draws, found)
        metrics |= prefixed(found | prediction.metrics())
        prediction.write(self.folder)
        return prediction
