# %% [markdown]
# # 1. Does a network learn faster with ReLU than with tanh?
#
# A hidden unit computes $h = f(w^\top x + b)$. The gradient reaches $w$ through $f$:
# $\partial L / \partial w = \partial L / \partial h \cdot f'(w^\top x + b) \cdot x$.
# Where $f'$ is near zero, the unit is saturated and hardly learns.
#
# - sigmoid: $\sigma(z) = 1 / (1 + e^{-z})$, with $\sigma' = \sigma (1 - \sigma)
#   \le 1/4$; $\tanh' = 1 - \tanh^2 \le 1$; ReLU: $\max(0, z)$, with slope 0 or 1
# - leaky ReLU: $\max(\alpha z, z)$ (Maas et al. 2013); ELU: $e^z - 1$ for $z < 0$
#   (Clevert et al. 2016)
# - maxout: $\max(w_1^\top x + b_1, w_2^\top x + b_2)$ (Goodfellow et al. 2013), which
#   learns its shape
#
# The picture shows the functions and their derivatives, which automatic
# differentiation computes. The maxout unit has random pieces.

# %%
import statistics

import keras
import matplotlib.pyplot as plt
import numpy as np
from course import answer, exercise, quick, show
from keras import ops

from zoo import datasets, layers, mlp
from zoo.differentiation import compile_function, input_gradient

keras.utils.set_random_seed(3)
unit = layers.Maxout(1, pieces=2)
unit.build((None, 1))
unit.set_weights([np.array([[-0.6, 0.9]]), np.array([0.3, -0.5])])

FUNCTIONS = {
    "sigmoid": keras.activations.sigmoid,
    "tanh": keras.activations.tanh,
    "ReLU": keras.activations.relu,
    "leaky ReLU": lambda z: keras.activations.leaky_relu(z, negative_slope=0.1),
    "ELU": keras.activations.elu,
    "maxout": lambda z: unit(z[:, None])[:, 0],
}
z = np.linspace(-4, 4, 400, dtype="float32")
figure, panels = plt.subplots(2, 3, figsize=(10, 5.6), layout="constrained")
for panel, (name, function) in zip(panels.flat, FUNCTIONS.items(), strict=True):
    values, slopes = map(ops.convert_to_numpy, input_gradient(function, z))
    panel.plot(z, values, label="$f(z)$")
    panel.plot(z, slopes, "--", label="$f'(z)$")
    panel.set(title=f"{name}: largest slope {slopes.max():.2f}", xlabel="z")
    panel.grid(alpha=0.3)
panels[0, 0].legend()
figure.suptitle("Activation functions and their derivatives")
show(figure, "01_functions")
