"""What does a failing training run look like from the inside?

The script trains small multilayer perceptrons, each with one classic fault, and healthy
ones for comparison. It uses Fashion-MNIST if TFDS has prepared it, otherwise the digits
that ship with kerascope. It prints what `Diagnosis` finds in each run, which is nothing
for the healthy ones. For each fault, it writes this report as a page to
`runs/diagnose/`, such as `rate.html`, and a picture that explains what you see, what it
means and what to do:

- `rate.png`: a learning rate 100 times too small, and 100 times too large;
- `vanishing.png`: vanishing gradients in a deep sigmoid network;
- `saturated.png`: tanh units that saturate from the first step;
- `dying.png`: ReLU units that die at a high learning rate, although the model still
  learns;
- `constant.png`: units that start identical and stay identical;
- `noisy.png`: weights of the first layer that are still noise after training, next to
  smooth ones.

    python examples/diagnose.py

On Fashion-MNIST (seed 0, two epochs), the healthy run reaches a validation accuracy of
86.5 % and an update ratio of 2e-3. The accuracy is 71.2 % with a learning rate 100
times too small, 10.1 % with a rate 100 times too large, and 20.0 % with eight sigmoid
layers.
"""

import textwrap
import time
from pathlib import Path

import keras
import matplotlib.pyplot as plt
from common import (
    ExampleParser,
    at_least,
    exit_on_error,
    load_classes,
    prepared_or_digits,
    save_picture,
)

from callbacks import (
    ActivationHistograms,
    Diagnosis,
    GradientHistograms,
    UpdateRatio,
    plot_first_layer,
)
from zoo import mlp
from zoo.utils.files import writable_folder

RATE = 1e-3  # learning rate of Adam
WIDTH, DEPTH = 128, 4
MAX_EPOCHS = 20  # longer runs on small data would only show overfitting
DYING_EPOCHS = 6  # at least; units die over several epochs

TEXTS = {
    "rate": (
        "A learning rate that is 100 times too small, and 100 times too large",
        "You see how far a step moves the weights, next to their size. On the left it "
        "hardly moves them, so training crawls; on the right the first steps throw "
        "them away and break the network. Change the rate until the black line lies "
        "in the green band, at about 1e-3.",
    ),
    "vanishing": (
        "Vanishing gradients",
        "You see the size of the gradient of every layer, from the input on the left "
        "to the output. Each sigmoid layer shrinks the gradient that it passes back, "
        "so the first layers do not learn. Use ReLU with He initialization, "
        "normalization, or residual connections.",
    ),
    "saturated": (
        "Saturated units",
        "You see the values of the units. They are at the ends of tanh, which is flat "
        "there and passes no gradient back: the initial weights are too large. Use "
        "Glorot initialization, which keeps the values in the middle.",
    ),
    "dying": (
        "Dying ReLU units",
        "You see which values the units take after each epoch, and in the titles how "
        "many are zero for every image at the end. Steps at a high rate pushed them "
        "there, and no gradient brings them back. Lower the rate, warm it up, or use "
        "leaky ReLU or normalization.",
    ),
    "constant": (
        "Units that stay identical",
        "You see the weights of the first layer as images. All units started with the "
        "same weights and received the same gradients, so the layer is one unit, "
        "copied many times. Start from random weights.",
    ),
    "noisy": (
        "Noise in the first layer",
        "You see the weights of the first layer as images. The large initial weights "
        "are still visible as noise, because nothing in training removed them. Start "
        "from smaller weights, and use weight decay.",
    ),
}


def parse_arguments(arguments=None):
    parser = ExampleParser(__doc__)
    parser.add_argument(
        "--dataset",
        default=prepared_or_digits("fashion_mnist"),
        help="images for classification",
    )
    parser.add_argument(
        "--steps",
        type=at_least(1),
        default=1200,
        help="steps of each run, rounded down to whole epochs, but at least one epoch "
        f"and at most {MAX_EPOCHS}",
    )
    return parser.parse_args(arguments)


class Run:
    """Trains one model, and keeps what the monitors recorded.

    Args:
        title: Title of the run.
        data: Data to train on.
        options: Parsed options.
        optimizer: Optimizer. Defaults to Adam.
        depth: Number of hidden layers.
        least_epochs: Minimum number of epochs, whatever the options.
        **builder: Arguments of `mlp`.
    """

    def __init__(
        self,
        title,
        data,
        options,
        *,
        optimizer=None,
        depth=DEPTH,
        least_epochs=1,
        **builder,
    ):
        self.title = title
        keras.utils.set_random_seed(options.seed)
        model = mlp(
            data.input_shape,
            data.num_outputs,
            units=(WIDTH,) * depth,
            preprocessing=data.normalization(),
            **builder,
        )
        optimizer = optimizer or keras.optimizers.Adam(RATE)
        model.compile(optimizer, data.loss, metrics=data.metrics)
        data.order.counter = 0
        sample, _ = next(iter(data.validation))
        every = max(1, options.steps // 40)
        self.ratio = UpdateRatio(every)
        self.gradients = GradientHistograms(every)
        self.activations = ActivationHistograms(sample)
        diagnosis = Diagnosis(verbose=0, every=every)
        epochs = min(options.steps // len(data.train), MAX_EPOCHS)
        start = time.perf_counter()
        history = model.fit(
            data.train,
            validation_data=data.validation,
            epochs=max(epochs, least_epochs),
            shuffle=False,
            verbose=0,
            callbacks=[self.ratio, self.gradients, self.activations, diagnosis],
        ).history
        self.model = model
        self.accuracy = history["val_accuracy"][-1]
        print(
            f"{title}: validation accuracy {self.accuracy:.3f}, update ratio "
            f"{history['update_ratio'][-1]:.1e}, {time.perf_counter() - start:.0f} s",
            flush=True,
        )
        self.report = diagnosis.report
        for finding in self.report.findings:
            print(textwrap.indent(str(finding), "    "), flush=True)

    @property
    def caption(self) -> str:
        return f"{self.title}: validation accuracy {self.accuracy:.1%}"


def draw_ratios(figure, runs):
    axes = figure.subplots(1, len(runs), sharey=True)
    for ax, run in zip(axes, runs, strict=True):
        run.ratio.plot(ax)
        ax.set_title(run.caption, fontsize=10)
        ax.label_outer()
        if ax is not axes[-1]:
            ax.get_legend().remove()
    axes[0].set_ylim(1e-6, 3)


def draw_norms(figure, runs):
    axes = figure.subplots(1, len(runs), sharey=True)
    for ax, run in zip(axes, runs, strict=True):
        run.gradients.plot_norms(ax)
        ax.set_title(run.caption, fontsize=10)
        ax.label_outer()


def draw_activations(figure, runs):
    for part, run in zip(figure.subfigures(len(runs), 1), runs, strict=True):
        run.activations.plot(part)
        part.suptitle(run.caption, fontsize=10)


def draw_images(figure, runs):
    axes = figure.subplots(1, len(runs))
    for ax, run in zip(axes, runs, strict=True):
        plot_first_layer(run.model, max_units=49, ax=ax)
        ax.set_title(run.caption, fontsize=10)


def picture(name, draw, size, runs, folder):
    """Writes one picture with a title, an explanation and plots of the runs.

    The report on the first run, which is faulty, becomes a page of the same name.
    """
    title, text = TEXTS[name]
    figure = plt.figure(figsize=size, layout="constrained")
    lines = textwrap.wrap(text, round(size[0] * 12.5))
    draw(figure, runs)
    figure.suptitle("\n".join([title, *lines]), fontsize=10.5)
    save_picture(figure, folder / f"{name}.png")
    faulty, *_ = runs
    faulty.report.to_html(folder / f"{name}.html")


def main(arguments=None):
    options = parse_arguments(arguments)
    with exit_on_error():
        folder = writable_folder(Path(options.output) / "diagnose")
        data = load_classes(options, only_images=True)

    def run(title, **settings):
        return Run(title, data, options, **settings)

    def adam(rate):
        return keras.optimizers.Adam(rate)

    healthy = run("healthy")
    slow = run("rate / 100", optimizer=adam(RATE / 100))
    fast = run("rate x 100", optimizer=adam(RATE * 100))
    picture("rate", draw_ratios, (14, 4.6), [slow, healthy, fast], folder)

    sigmoids = run("eight layers of sigmoids", depth=8, activation="sigmoid")
    rectifiers = run("eight layers of ReLU", depth=8)
    picture("vanishing", draw_norms, (12, 4.8), [sigmoids, rectifiers], folder)

    large = keras.initializers.RandomNormal(stddev=1.0)
    ends = run("large initial weights", activation="tanh", kernel_initializer=large)
    middle = run("Glorot's initial weights", activation="tanh")
    picture("saturated", draw_activations, (12, 7.5), [ends, middle], folder)

    longer = {"least_epochs": DYING_EPOCHS}
    dying = run("rate x 10", optimizer=adam(RATE * 10), **longer)
    alive = run("healthy, for as long", **longer)
    picture("dying", draw_activations, (12, 7.5), [dying, alive], folder)

    same = keras.initializers.Constant(0.01)
    alike = run("constant initial weights", kernel_initializer=same)
    decay = keras.regularizers.L2(3e-3)
    smooth = run("random weights, with decay", depth=1, kernel_regularizer=decay)
    noisy = run("large weights, one layer", depth=1, kernel_initializer=large)
    picture("constant", draw_images, (10, 6), [alike, smooth], folder)
    picture("noisy", draw_images, (10, 6), [noisy, smooth], folder)
    print(f"pictures and pages in {folder}")


if __name__ == "__main__":
    main()
