"""What do the callbacks say about a Keras model of your own?

The script trains a plain Keras model on 1,797 handwritten digits, with a learning rate
that is a hundred times too high, and with two callbacks. It prints what `Diagnosis`
finds, and writes a picture of the update ratio next to the finding to
`runs/own_model/front.png`.

    python examples/own_model.py
    python examples/own_model.py --learning-rate 0.001
"""

import textwrap
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from common import ExampleParser, at_least, checked, exit_on_error, save_picture
from sklearn.datasets import load_digits

from callbacks import Diagnosis, UpdateRatio
from zoo.utils.files import writable_folder

COLORS = {"error": "#c0392b", "warning": "#b9770e", "hint": "#2471a3"}


def parse_arguments(arguments=None):
    parser = ExampleParser(__doc__)
    parser.add_argument(
        "--learning-rate",
        type=checked(float, "> 0", lambda value: value > 0),
        default=0.1,
        help="learning rate of Adam",
    )
    parser.add_argument(
        "--epochs", type=at_least(2), default=10, help="epochs of the training run"
    )
    return parser.parse_args(arguments)


def build_model(learning_rate):
    hidden = [keras.layers.Dense(128, "relu", name=f"dense_{i}") for i in (1, 2, 3, 4)]
    layers = [*hidden, keras.layers.Dense(10, "softmax", name="output")]
    model = keras.Sequential([keras.Input((64,)), *layers])
    model.compile(
        keras.optimizers.Adam(learning_rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def plot_finding(history, ratio, report):
    """Draws the accuracy and the update ratio, and writes the finding beside them."""
    figure = plt.figure(figsize=(13, 4.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1.6, 1.5])
    epochs = np.arange(1, len(history["accuracy"]) + 1)
    left.plot(epochs, history["accuracy"], marker=".", label="training")
    left.plot(epochs, history["val_accuracy"], marker=".", label="validation")
    left.set(xlabel="epoch", title="Accuracy", ylim=(0, 1))
    left.legend()
    ratio.plot(middle)
    middle.legend(fontsize=8, loc="upper right")
    middle.set(title="Update ratio", ylabel="norm of update / norm of weights")
    right.axis("off")
    right.set_title("Diagnosis", loc="left")
    height = 0.97
    for text, options in described(report):
        wrapped = textwrap.wrap(text, 52, subsequent_indent=options.pop("indent", ""))
        right.text(0, height, "\n".join(wrapped), va="top", fontsize=11.5, **options)
        height -= 0.058 * len(wrapped) + 0.035
    return figure


def described(report):
    """Yields the lines about the first finding, with options of Matplotlib's `text`."""
    if not report.findings:
        yield report.verdict, {"weight": "bold"}
        return
    finding, *_ = report.findings
    color = COLORS[finding.severity]
    yield f"{finding.severity}: {finding.cause}", {"weight": "bold", "color": color}
    yield f"{finding.summary} ({finding.where})", {"weight": "bold"}
    yield "How we know:", {"color": "gray"}
    for evidence in finding.evidence[:2]:
        yield f"- {evidence}", {"indent": "  "}
    yield "What to do:", {"color": "gray"}
    for line in finding.advice[0].splitlines():
        indent = "# " if line.startswith("#") else "    "
        yield line, {"family": "monospace", "indent": indent}


def main(arguments=None):
    options = parse_arguments(arguments)
    with exit_on_error():
        folder = writable_folder(Path(options.output) / "own_model")
    keras.utils.set_random_seed(options.seed)
    x, y = load_digits(return_X_y=True)
    model = build_model(options.learning_rate)
    ratio, diagnosis = UpdateRatio(every=2), Diagnosis(verbose=0)
    history = model.fit(
        x / 16,
        y,
        validation_split=0.2,
        epochs=options.epochs,
        verbose=2,
        callbacks=[ratio, diagnosis],
    ).history
    print(diagnosis.report)
    figure = plot_finding(history, ratio, diagnosis.report)
    save_picture(figure, folder / "front.png")
    print(f"picture in {folder}")


if __name__ == "__main__":
    main()
