"""Model builders, ensembles, datasets, layers, losses and gradient checks."""

from . import datasets, ensemble, layers, losses
from .backend.torch_parameters import register_all_variables
from .backend.uneven_batches import copy_uneven_batches
from .fit_lbfgs import fit_lbfgs
from .gradient_check import check_gradients
from .language_model import LanguageModel
from .loss_surface import loss_surface
from .lstm import lstm
from .mlp import mlp
from .plot_predictions import plot_predictions
from .res_mlp import res_mlp

register_all_variables()
copy_uneven_batches()

__all__ = [
    "LanguageModel",
    "check_gradients",
    "datasets",
    "ensemble",
    "fit_lbfgs",
    "layers",
    "loss_surface",
    "losses",
    "lstm",
    "mlp",
    "plot_predictions",
    "res_mlp",
]
