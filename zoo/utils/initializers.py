"""Weight initializers that preserve the scale of signals or keep outputs small."""

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
    """Returns a new initializer for a layer that is followed by this activation.

    The initializer is He normal (He et al., 2015, "Delving Deep into Rectifiers",
    equation 10) for ReLU and similar functions, LeCun normal for SELU (Klambauer et
    al., 2017), and Glorot uniform (Glorot & Bengio, 2010) for tanh, sigmoid and all
    other activations.

    Args:
        activation: Layer that applies the activation.
    """
    name = activation_name(activation)
    if name in RECTIFIERS:
        return keras.initializers.HeNormal()
    if name == "selu":
        return keras.initializers.LecunNormal()
    return keras.initializers.GlorotUniform()


def maxout_initializer(pieces: int) -> keras.initializers.Initializer:
    """Returns a new initializer for Maxout units with `pieces` linear pieces.

    The initializer extends the derivation of He et al. (2015, equation 10) from ReLU to
    the maximum of several linear pieces. If `m` is the second moment of the largest of
    `pieces` independent standard normal variables, weights with variance
    `1 / (m * inputs)` preserve the second moment of the signals. Tseran & Montufar
    (2023, "Expected Gradients of Maxout Networks") derive the same variance from
    gradients.

    Args:
        pieces: Number of linear pieces per unit, an integer >= 1.
    """
    # Integrate over the density of the maximum, which is negligible beyond 12 standard
    # deviations.
    x = np.linspace(-12, 12, 4001)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    cumulative = (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2
    density = pieces * density * cumulative ** (pieces - 1)
    moment = float(np.sum(x**2 * density) * (x[1] - x[0]))
    return keras.initializers.VarianceScaling(
        scale=1 / moment, mode="fan_in", distribution="untruncated_normal"
    )


def head_initializer() -> keras.initializers.Initializer:
    """Returns a new initializer for the last layer, which outputs logits.

    The variance of the weights is a tenth of the variance in LeCun initialization. The
    logits are therefore initially near zero, and the initial cross-entropy over C
    classes is within a few hundredths of log C. With LeCun initialization, the logits
    would have variance 1, and the initial cross-entropy would be 0.5 above log C.
    """
    return keras.initializers.VarianceScaling(scale=HEAD_SCALE, mode="fan_in")


def member_head_initializer(inputs: int) -> keras.initializers.Initializer:
    """Returns a new initializer with the variance of `head_initializer`.

    The kernels of all members are one weight, and the fan-in that Keras derives from
    its shape depends on the version.

    Args:
        inputs: Integer, the number of inputs of each member.
    """
    return keras.initializers.RandomNormal(stddev=math.sqrt(HEAD_SCALE / inputs))


def activation_name(activation: keras.layers.Layer) -> str:
    """Returns the Keras name of the function that an activation layer applies.

    The result is an empty string if the name is unknown.
    """
    if isinstance(activation, keras.layers.Activation):
        return getattr(activation.activation, "__name__", "")
    names = {keras.layers.ReLU: "relu", keras.layers.LeakyReLU: "leaky_relu"}
    names |= {keras.layers.ELU: "elu", keras.layers.PReLU: "prelu"}
    return names.get(type(activation), "")
