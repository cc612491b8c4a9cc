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

# %% [markdown]
# ## Steps until the digits are learnt
#
# Krizhevsky et al. (2012, figure 1) trained a convolutional network to a training error
# of 25 % on CIFAR-10, with ReLU and with tanh. The same question for a multilayer
# perceptron with four hidden layers on 1,797 handwritten digits: after how many steps
# does the training error fall below 5 %? As in their comparison, each activation has
# the learning rate that is best for it. The other seeds then use this learning rate.

# %%
TARGET, EVERY, MAX_STEPS = 0.05, 5, quick(500, 60)
RATES = quick((0.03, 0.1, 0.3), (0.1,))
SEEDS_TO_CHOOSE, SEEDS = quick(((0, 1, 2), (3, 4, 5, 6, 7, 8, 9)), ((0,), (1,)))
data = datasets.load("digits", batch_size=32)
x_train, y_train = map(np.concatenate, zip(*data.train_batches(), strict=True))


class StepsToTarget(keras.callbacks.Callback):
    """Ends training when the training error falls below the target."""

    def on_train_begin(self, logs=None):
        self.steps, self.errors = 0, []
        self.predict = compile_function(self.model, self.model.variables)

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps % EVERY == 0:
            model = self.model  # on JAX, this updates the weights that `predict` reads
            predicted = ops.convert_to_numpy(self.predict(x_train)).argmax(axis=1)
            self.errors.append(np.mean(predicted != y_train))
            model.stop_training = self.errors[-1] < TARGET


def train(activation, rate, seed):
    """Returns the training error after every fifth step."""
    keras.utils.set_random_seed(seed)
    data.order.counter = 1000 * seed  # which order of the examples comes first
    model = mlp(data.input_shape, 10, units=(100,) * 4, activation=activation)
    model.compile(keras.optimizers.SGD(rate), data.loss)
    counter = StepsToTarget()
    stream = data.train.repeat().take(MAX_STEPS)
    model.fit(stream, shuffle=False, verbose=0, callbacks=[counter])
    return counter.errors


ACTIVATIONS = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "ReLU": "relu",
    "leaky ReLU": keras.layers.LeakyReLU(negative_slope=0.1),
    "ELU": "elu",
    "maxout": "maxout",
}


def median_steps(runs):
    return statistics.median(EVERY * len(errors) for errors in runs)


curves, steps = {}, {}
for name, activation in ACTIVATIONS.items():
    choice = {
        rate: median_steps([train(activation, rate, seed) for seed in SEEDS_TO_CHOOSE])
        for rate in RATES
    }
    best = min(choice, key=choice.get)
    runs = sorted((train(activation, best, seed) for seed in SEEDS), key=len)
    curves[name] = runs[len(runs) // 2]
    steps[name] = EVERY * len(curves[name])
    print(f"{name}, learning rate {best}: {steps[name]:.0f} steps", flush=True)

# %% [markdown]
# Both plots show the median run of seven seeds.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for name, errors in curves.items():
    left.plot(EVERY * np.arange(1, len(errors) + 1), 100 * np.array(errors), label=name)
left.axhline(100 * TARGET, color="k", linestyle=":", linewidth=1)
left.set(xlabel="step", ylabel="training error in %", title="Digits, batches of 32")
left.set_xscale("log")
left.legend(fontsize=8, loc="center right")
left.grid(alpha=0.3)
bars = right.barh(list(steps), list(steps.values()), color="C7")
labels = [f"{n:.0f}" if n < MAX_STEPS else f"not in {n:.0f}" for n in steps.values()]
right.bar_label(bars, labels, padding=3)
right.margins(x=0.3)
right.invert_yaxis()
right.set(xlabel="steps", title=f"Steps to a training error of {100 * TARGET:.0f} %")
show(figure, "01_steps")

ratio = steps["tanh"] / steps["ReLU"]
answer(
    "with ReLU, training is six times faster than with tanh (Krizhevsky et al. 2012, "
    "a convolutional network on CIFAR-10).",
    f"{ratio:.1f} times ({steps['ReLU']:.0f} steps with ReLU, {steps['tanh']:.0f} with "
    "tanh, a perceptron with four hidden layers on digits).",
)

# %% [markdown]
# ## Exercise
#
# A maxout unit with one input and two pieces without biases computes
# $\max(w_1 x, w_2 x)$. Which weights make it the leaky ReLU with $\alpha = 0.2$?


# %%
@exercise
def check_weights(weights):
    maxout = layers.Maxout(1, pieces=2)
    maxout.build((None, 1))
    maxout.set_weights([np.array([weights], "float32"), np.zeros(2)])
    x = np.linspace(-2, 2, 41, dtype="float32")[:, None]
    difference = ops.abs(maxout(x) - ops.leaky_relu(x, negative_slope=0.2))
    worst = float(ops.max(difference))
    return worst < 1e-6, f"The largest difference on [-2, 2] is {worst:.2g}."


my_weights = None  # for example (3.0, -1.5)
check_weights(my_weights)

# %% [markdown]
# ## Solution
#
# One piece for positive inputs, $w_1 = 1$, and one for negative inputs, $w_2 = 0.2$:
# for $x < 0$, the larger of $x$ and $0.2 x$ is $0.2 x$. With $w_2 = 0$, the unit is a
# ReLU, and with $w_2 = -1$, the absolute value.

# %%
# Solution
solution = (1.0, 0.2)
mistakes = [(1.0, 0.0), (1.0, -0.2), (0.2, 0.2)]
check_weights(solution)
