# %% [markdown]
# # 2. What do the initial weights decide?
#
# A unit $z = \sum_{i=1}^n w_i x_i$ with independent weights of mean zero has the
# variance $\mathrm{Var}(z) = n \, \mathrm{Var}(w) \, \mathrm{E}[x^2]$. The signal keeps
# its size from layer to layer if
#
# - $\mathrm{Var}(w) = 1/n$, for tanh near zero. The lectures call this Xavier; Keras
#   calls it `lecun_normal` (LeCun et al. 1998). Glorot and Bengio (2010, section 4.2.1)
#   proposed $2 / (n_\text{in} + n_\text{out})$, which is the same if all layers have
#   the same size, and which also keeps the size of the gradients.
# - $\mathrm{Var}(w) = 2/n$ for ReLU, which sets half of the signal to zero (He et al.
#   2015, section 2.2).
#
# The experiment sends digits through ten hidden layers, without training.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from course import answer, exercise, quick, show

from zoo import datasets, mlp

DEPTH, UNITS, EPOCHS = quick((10, 200, 10), (4, 20, 1))
INITIALIZERS = {
    "zero": keras.initializers.Zeros(),
    "constant 0.01": keras.initializers.Constant(0.01),
    "N(0, 0.01²)": keras.initializers.RandomNormal(stddev=0.01),
    "N(0, 0.5²)": keras.initializers.RandomNormal(stddev=0.5),
    "Xavier": keras.initializers.LecunNormal(),
    "He": keras.initializers.HeNormal(),
}
ACTIVATIONS = {"tanh": "tanh", "relu": "ReLU"}
data = datasets.load("digits")
sample = next(iter(data.validation))[0]


def build(activation, initializer):
    keras.utils.set_random_seed(0)
    return mlp(
        data.input_shape,
        data.num_outputs,
        units=(UNITS,) * DEPTH,
        activation=activation,
        kernel_initializer=initializer,
        preprocessing=data.normalization(),
    )


def activations_of(model):
    names = [f"hidden_{layer}_activation" for layer in range(1, DEPTH + 1)]
    outputs = [model.get_layer(name).output for name in names]
    by_layer = keras.Model(model.input, outputs)(sample)
    return [keras.ops.convert_to_numpy(tensor) for tensor in by_layer]


models = {
    (activation, name): build(activation, initializer)
    for activation in ACTIVATIONS
    for name, initializer in INITIALIZERS.items()
}
activations = {key: activations_of(model) for key, model in models.items()}

# %% [markdown]
# ## The activations, layer by layer
#
# Each small plot is the histogram of the outputs of a layer, for all digits of the
# validation split, below its standard deviation. Outputs of ReLU that are 0 are left
# out of the histograms. Zero and constant weights are left out, too: with them, all
# units of a layer have the same output.

# %%
LAYERS = quick((1, 2, 4, 6, 8, 10), (1, 2, 4))
RANDOM = [name for name in INITIALIZERS if name not in ("zero", "constant 0.01")]


def plot_histograms(activation):
    figure, panels = plt.subplots(
        len(RANDOM), len(LAYERS), figsize=(10, 6), layout="constrained", sharex="row"
    )
    for row, name in zip(panels, RANDOM, strict=True):
        outputs = [activations[activation, name][layer - 1] for layer in LAYERS]
        largest = max(np.abs(output).max() for output in outputs)
        low = -largest if activation == "tanh" else 0
        for panel, output in zip(row, outputs, strict=True):
            panel.hist(output[output != 0], bins=40, range=(low, largest), color="C0")
            panel.set_title(f"deviation {output.std():.2g}", fontsize=8)
            panel.set_yticks([])
            panel.tick_params(labelsize=7)
            panel.xaxis.get_offset_text().set_fontsize(7)
        row[0].set_ylabel(name, fontsize=9)
    for panel, layer in zip(panels[-1], LAYERS, strict=True):
        panel.set_xlabel(f"output of layer {layer}", fontsize=8)
    figure.suptitle(f"{ACTIVATIONS[activation]}: activations before training")
    return figure


for activation in ACTIVATIONS:
    show(plot_histograms(activation), f"02_{activation}")

# %% [markdown]
# ## Do they train?
#
# Each network is trained for a few epochs. The table also counts the distinct units of
# the first hidden layer after training: those with different outputs. Units that start
# with the same weights have the same gradient, and stay the same forever.

# %%
accuracies, distinct = {}, {}
for key, model in models.items():
    data.order.counter = 0
    model.compile(keras.optimizers.SGD(0.05), data.loss, metrics=data.metrics)
    split = {"validation_data": data.validation, "shuffle": False, "verbose": 0}
    history = model.fit(data.train, epochs=EPOCHS, **split).history
    accuracies[key] = 100 * history["val_accuracy"][-1]
    first = activations_of(model)[0].round(4)
    distinct[key] = len(np.unique(first, axis=1).T)

print(f"{'activation, weights':24}accuracy  distinct units  deviation of layer {DEPTH}")
for (activation, name), accuracy in accuracies.items():
    last = activations[activation, name][-1].std()
    title = f"{ACTIVATIONS[activation]}, {name}"
    units = distinct[activation, name]
    print(f"{title:24}{accuracy:6.1f} %{units:11} of {UNITS}{last:15.1e}")

figure, panel = plt.subplots(figsize=(8, 3.6), layout="constrained")
places = np.arange(len(INITIALIZERS))
for shift, activation in zip((-0.2, 0.2), ACTIVATIONS, strict=True):
    heights = [accuracies[activation, name] for name in INITIALIZERS]
    bars = panel.bar(places + shift, heights, 0.4, label=ACTIVATIONS[activation])
    panel.bar_label(bars, fmt="%.0f", fontsize=8)
panel.set_xticks(places, list(INITIALIZERS))
panel.set(xlabel="initial weights", ylabel="validation accuracy in %", ylim=(0, 115))
panel.set_title(f"{DEPTH} hidden layers after {EPOCHS} epochs on digits")
panel.legend(loc="upper left")
show(figure, "02_accuracy")

answer(
    "zero and constant weights make all units alike; small weights lose the signal, "
    "and large ones saturate tanh; Xavier suits tanh, and ReLU needs twice its "
    "variance.",
    f"zero and constant weights leave {distinct['tanh', 'zero']} and "
    f"{distinct['tanh', 'constant 0.01']} distinct units. With tanh, N(0, 0.01²) "
    f"reaches {accuracies['tanh', 'N(0, 0.01²)']:.0f} % accuracy, N(0, 0.5²) "
    f"{accuracies['tanh', 'N(0, 0.5²)']:.0f} %, Xavier "
    f"{accuracies['tanh', 'Xavier']:.0f} % and He {accuracies['tanh', 'He']:.0f} %; "
    f"with ReLU, Xavier {accuracies['relu', 'Xavier']:.0f} % and He "
    f"{accuracies['relu', 'He']:.0f} %.",
)

# %% [markdown]
# ## Exercise
#
# Write a function that returns the standard deviation of the initial weights of a layer
# with $n$ inputs, such that a signal passes through 20 layers of $n$ ReLU units without
# growing or shrinking. The check sends a random signal through such layers.


# %%
@exercise
def check_deviation(function):
    for n in (100, 400):
        generator = np.random.default_rng(0)
        x = generator.normal(size=(50, n))
        start = np.mean(x**2)
        for _ in range(20):
            x = np.maximum(x @ generator.normal(size=(n, n)) * function(n), 0)
        change = np.mean(x**2) / start
        if not 0.1 < change < 10:
            text = f"With n = {n}, 20 layers multiply the mean square by {change:.1g}."
            return False, text
    return True, ""


my_deviation = None  # for example: lambda n: 1 / n
check_deviation(my_deviation)

# %% [markdown]
# ## Solution
#
# A ReLU sets half of the values of $z$ to zero, so its output has the mean square
# $\mathrm{Var}(z) / 2 = n \, \mathrm{Var}(w) \, \mathrm{E}[x^2] / 2$. It equals
# $\mathrm{E}[x^2]$ if $\mathrm{Var}(w) = 2/n$, so the standard deviation is
# $\sqrt{2/n}$. A frequent mistake is $2/n$, which is the variance.


# %%
# Solution
def solution(n):
    return np.sqrt(2 / n)


mistakes = [lambda n: np.sqrt(1 / n), lambda n: 2 / n, lambda n: 0.1]
check_deviation(solution)
