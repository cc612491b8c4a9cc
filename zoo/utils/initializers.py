"""Which initial weights keep signals alive, and outputs near zero."""

import math

import keras
import numpy as np

RECTIFIERS = (
    "celu",
    "elu",
    "gelu",
    "hard_silu",
    "hard_swish",
    "leaky_relu",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "silu",
    "softplus",
    "swish",
)
HEAD_SCALE = 0.1


def hidden_initializer(
    activation: keras.layers.Layer,
) -> keras.initializers.Initializer:
    """Returns new initial weights for a layer that this activation follows.

    He et al. (2015, "Delving Deep into Rectifiers", equation 10) for ReLU and its
    relatives, LeCun for SELU (Klambauer et al., 2017), Glorot & Bengio (2010) for
    tanh, sigmoid and all else.

    Args:
        activation: The layer that applies the activation.
    """
    name = activation_name(activation)
    if name in RECTIFIERS:
        return keras.initializers.HeNormal()
    if name == "selu":
        return keras.initializers.LecunNormal()
    return keras.initializers.GlorotUniform()


def maxout_initializer(pieces: int) -> keras.initializers.Initializer:
    """Returns new initial weights for a layer whose units are the largest of `pieces`.

    He's argument (2015, equation 10) for another activation: with variance
    `1 / (m * inputs)`, `m` the second moment of the largest of `pieces` independent
    standard normal numbers, the second moment of signals is kept. Tseran & Montufar
    (2023, "Expected Gradients of Maxout Networks") reach the same from gradients.

    Args:
        pieces: Integer >= 1.
    """
    # The density of the maximum, integrated; it vanishes beyond 12 deviations.
    x = np.linspace(-12, 12, 4001)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    cumulative = (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2
    density = pieces * density * cumulative ** (pieces - 1)
    moment = float(np.sum(x**2 * density) * (x[1] - x[0]))
    return keras.initializers.VarianceScaling(
        scale=1 / moment, mode="fan_in", distribution="untruncated_normal"
    )


def head_initializer() -> keras.initializers.Initializer:
    """Returns new initial weights for the layer that ends in logits.

    LeCun's variance, divided by ten: logits begin near zero, so that the first loss
    of C classes is within a few hundredths of log C. With LeCun's own variance of 1
    it would lie 0.5 above.
    """
    return keras.initializers.VarianceScaling(scale=HEAD_SCALE, mode="fan_in")


def activation_name(activation: keras.layers.Layer) -> str:
    """Returns the Keras name of what an activation layer applies."""
    if isinstance(activation, keras.layers.Activation):
        return getattr(activation.activation, "__name__", "")
    names = {keras.layers.ReLU: "relu", keras.layers.LeakyReLU: "leaky_relu"}
    names |= {keras.layers.ELU: "elu", keras.layers.PReLU: "prelu"}
    return names.get(type(activation), "")
