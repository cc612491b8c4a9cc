"""Search spaces for the model builders of `zoo`."""

from .lstm_space import LSTMSpace
from .mlp_space import MLPSpace
from .res_mlp_space import ResMLPSpace
from .zero_or_log_uniform import zero_or_log_uniform

__all__ = ["LSTMSpace", "MLPSpace", "ResMLPSpace", "zero_or_log_uniform"]
