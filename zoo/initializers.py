"""Which initial weights keep signals alive, and outputs near zero."""

import keras

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
