"""What do the first weights do to a deep network, before anything is learnt?

Builds a multilayer perceptron of 20 hidden layers again and again, with other initial
weights, and writes `runs/initialization/initialization.png`: for ReLU and for tanh, how
far the activations of each layer spread, and how large the gradient of the loss is for
its weights, on one batch of data that nobody has trained on.

    python examples/initialization.py
    python examples/initialization.py --dataset mnist

On digits (seed 0), from the first to the last hidden layer: zero weights pass nothing
on, in either direction. Small ones, of deviation 0.01, lose the signal of ReLU (5e-2 to
3e-20) and of tanh, and no layer has a gradient to learn from. Large ones, of deviation
0.3, multiply the signal of ReLU to 9e9; they saturate tanh, whose gradient grows
30,000-fold on its way back. Xavier's weights keep the signal of tanh (0.48 to 0.14),
but lose that of ReLU (0.37 to 7e-4), which He's weights keep (0.8 to 1.0).
All of it takes 20 s of one CPU core.
"""

import argparse
import time
from pathlib import Path

import keras
import matplotlib
import numpy as np

from zoo import datasets, mlp
from zoo.differentiation import weight_gradients
from zoo.utils.files import replacing, writable_folder

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BATCH_SIZE = 512
FLOOR, CEILING = 1e-25, 1e13  # of the picture; zero is drawn at its floor
INITIALIZERS = {
    "zero": keras.initializers.Zeros(),
    "too small: N(0, 0.01²)": keras.initializers.RandomNormal(stddev=0.01),
    "too large: N(0, 0.3²)": keras.initializers.RandomNormal(stddev=0.3),
    "Xavier": keras.initializers.GlorotNormal(),
    "He": keras.initializers.HeNormal(),
}
ACTIVATIONS = ("relu", "tanh")


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--dataset", default="digits", help="of classes, not texts")
    parser.add_argument("--layers", type=int, default=20, help="hidden layers")
    parser.add_argument("--units", type=int, default=256, help="of each layer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="runs", help="folder of the results")
    options = parser.parse_args(arguments)
    if options.layers < 2:
        parser.error(f"argument --layers: expected >= 2, received {options.layers}")
    return options


def spread(data, activation, initializer, options):
    """Returns the deviation of activations and of gradients in every hidden layer."""
    keras.utils.set_random_seed(options.seed)
    model = mlp(
        data.input_shape,
        data.num_outputs,
        units=(options.units,) * options.layers,
        activation=activation,
        kernel_initializer=initializer,
        preprocessing=data.normalization(),
    )
    model.compile(loss=data.loss)
    x, y = next(iter(data.train))

    names = [f"hidden_{index}" for index in range(1, options.layers + 1)]
    outputs = [model.get_layer(f"{name}_activation").output for name in names]
    activations = keras.Model(model.input, outputs)(x)
    variables = model.trainable_variables
    gradients = dict(
        zip(map(id, variables), weight_gradients(model, x, y), strict=True)
    )
    of_kernels = [gradients[id(model.get_layer(name).kernel)] for name in names]
    return [
        [float(np.std(keras.ops.convert_to_numpy(tensor))) for tensor in tensors]
        for tensors in (activations, of_kernels)
    ]


def plot(spreads, data, options):
    """Draws activations above gradients, one column for each activation."""
    figure, panels = plt.subplots(
        2, 2, figsize=(11, 7.5), layout="constrained", sharex=True, sharey=True
    )
    depth = range(1, options.layers + 1)
    for column, activation in zip(panels.T, ACTIVATIONS, strict=True):
        for title in INITIALIZERS:
            for panel, values in zip(column, spreads[activation, title], strict=True):
                values = np.clip(values, FLOOR, None)
                panel.plot(depth, values, marker=".", label=title)
        column[0].set_title({"relu": "ReLU"}.get(activation, activation))
        column[1].set_xlabel("hidden layer")
    for row, label in zip(panels, ("activations", "gradients of weights"), strict=True):
        row[0].set_ylabel(f"standard deviation of {label}")
    for panel in panels.flat:
        panel.set_yscale("log")
        panel.set_ylim(FLOOR / 10, CEILING)
        panel.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
    exponents = range(-20, 11, 5)
    panels[0, 0].set_yticks(
        [FLOOR, *(10.0**exponent for exponent in exponents)],
        ["0", *(f"$10^{{{exponent}}}$" for exponent in exponents)],
    )
    panels[0, 0].legend(fontsize=9, loc="lower left", bbox_to_anchor=(0, 0.05))
    figure.suptitle(
        f"An untrained MLP of {options.layers} x {options.units} units, on {data.name}"
    )
    return figure


def main(arguments=None):
    options = parse_arguments(arguments)
    start = time.perf_counter()
    folder = writable_folder(Path(options.output) / "initialization")
    data = datasets.load(options.dataset, batch_size=BATCH_SIZE, seed=options.seed)
    spreads = {}
    for activation in ACTIVATIONS:
        for title, initializer in INITIALIZERS.items():
            values = spread(data, activation, initializer, options)
            spreads[activation, title] = values
            (first, last), (first_gradient, last_gradient) = (
                (kind[0], kind[-1]) for kind in values
            )
            print(
                f"{activation}, {title}: activations {first:.1e} to {last:.1e}, "
                f"gradients {first_gradient:.1e} to {last_gradient:.1e}",
                flush=True,
            )
    with replacing(folder / "initialization.png") as path:
        figure = plot(spreads, data, options)
        figure.savefig(path, dpi=90)
        plt.close(figure)
    print(f"{time.perf_counter() - start:.0f} s; picture in {folder}")


if __name__ == "__main__":
    main()
