"""Pictures of a run; each function writes one PNG, and a PDF beside it within `with_pdf`.

Those of classes and training return their figure, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hiexp.lazy import importer
from hiexp.plots.formats import formats, with_pdf

if TYPE_CHECKING:
    from hiexp.plots.classes import plot_classes
    from hiexp.plots.confusion import plot_confusion
    from hiexp.plots.fits import plot_fits, plot_parameters
    from hiexp.plots.images import plot_images
    from hiexp.plots.objects import page_name, plot_object
    from hiexp.plots.parameters import plot_parameters_by_class
    from hiexp.plots.saliency import plot_saliency, saliency_examples
    from hiexp.plots.shapelets import plot_shapelets
    from hiexp.plots.training import plot_training

PLACES = {
    "page_name": "hiexp.plots.objects",
    "plot_classes": "hiexp.plots.classes",
    "plot_confusion": "hiexp.plots.confusion",
    "plot_fits": "hiexp.plots.fits",
    "plot_images": "hiexp.plots.images",
    "plot_object": "hiexp.plots.objects",
    "plot_parameters": "hiexp.plots.fits",
    "plot_parameters_by_class": "hiexp.plots.parameters",
    "plot_saliency": "hiexp.plots.saliency",
    "plot_shapelets": "hiexp.plots.shapelets",
    "plot_training": "hiexp.plots.training",
    "saliency_examples": "hiexp.plots.saliency",
}
__all__ = [
    "formats",
    "page_name",
    "plot_classes",
    "plot_confusion",
    "plot_fits",
    "plot_images",
    "plot_object",
    "plot_parameters",
    "plot_parameters_by_class",
    "plot_saliency",
    "plot_shapelets",
    "plot_training",
    "saliency_examples",
    "with_pdf",
]

__getattr__ = importer(__name__, PLACES)
