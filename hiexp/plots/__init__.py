"""Pictures of a run; each function writes one PNG, those of classes and training return their figure, too."""

from hiexp.plots.classes import plot_classes
from hiexp.plots.confusion import plot_confusion
from hiexp.plots.fits import plot_fits, plot_parameters
from hiexp.plots.images import plot_images
from hiexp.plots.objects import page_name, plot_object
from hiexp.plots.parameters import plot_parameters_by_class
from hiexp.plots.saliency import plot_saliency, saliency_examples
from hiexp.plots.shapelets import plot_shapelets
from hiexp.plots.training import plot_training

__all__ = [
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
]
