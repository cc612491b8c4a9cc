"""Callbacks that record and plot gradients, weights, updates and layer outputs."""

from .activation_histograms import ActivationHistograms
from .first_layer import first_layer_images, plot_first_layer
from .gradient_histograms import GradientHistograms
from .update_ratio import UpdateRatio

__all__ = [
    "ActivationHistograms",
    "GradientHistograms",
    "UpdateRatio",
    "first_layer_images",
    "plot_first_layer",
]
