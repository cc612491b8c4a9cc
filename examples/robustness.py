"""How easily is a classifier fooled, and what does adversarial training change?

The script trains the same network twice, on clean and on adversarial examples, and
attacks both networks with all stages of `evaluate_robustness`. It writes these files to
`runs/robustness/`:

- `curves.png`: the accuracy of both networks against epsilon;
- `normal.png` and `adversarial.png`: for each network, its accuracy and a panel of
  attacked examples;
- `normal.csv` and `adversarial.csv`: for each network, a table of the results.

    python examples/robustness.py
    python examples/robustness.py --dataset mnist --epochs 10

Without `--dataset`, the script uses MNIST if TFDS has prepared it, otherwise digits.
"""

import time
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from common import (
    ExampleParser,
    exit_on_error,
    first_test_examples,
    load_classes,
    prepared_or_digits,
    save_picture,
)

from zoo import mlp
from zoo.adversarial import PGD, AdversarialTrainer, evaluate_robustness
from zoo.utils.files import replacing, writable_folder


def parse_arguments(arguments=None):
    parser = ExampleParser(__doc__)
    parser.add_argument(
        "--dataset",
        default=prepared_or_digits("mnist"),
        help="images for classification",
    )
    parser.add_robust_training(
        reach="twice",
        layers="the hidden layer",
        epsilon=0.1,
        units=256,
        epochs=15,
        examples=500,
        steps=50,
    )
    return parser.parse_args(arguments)


def train(data, options, adversarial: bool) -> keras.Model:
    keras.utils.set_random_seed(options.seed)
    data.order.counter = 0
    model = mlp(data.input_shape, data.num_outputs, units=(options.units,))
    trained, monitor = model, "val_accuracy"
    if adversarial:
        trained = AdversarialTrainer(model, PGD(options.epsilon, steps=7))
        monitor = "val_robust_accuracy"
    trained.compile(keras.optimizers.Adam(2e-3), data.loss, metrics=data.metrics)
    start = time.perf_counter()
    best = keras.callbacks.EarlyStopping(
        monitor, mode="max", patience=options.epochs, restore_best_weights=True
    )
    history = trained.fit(
        data.train,
        validation_data=data.validation,
        epochs=options.epochs,
        shuffle=False,
        verbose=2,
        callbacks=[best],
    ).history
    name = "adversarial" if adversarial else "normal"
    seconds = time.perf_counter() - start
    print(f"{name} training: {monitor} {max(history[monitor]):.4f} ({seconds:.0f} s)")
    return model


def draw_curves(reports: dict):
    figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    for name, report in reports.items():
        last = report.to_frame().groupby("epsilon").last()
        line = ax.plot(last.index, last["accuracy"], "o-", label=f"{name} training")
        ax.fill_between(
            last.index, last["low"], last["high"], alpha=0.2, color=line[0].get_color()
        )
    ax.set(xlabel="epsilon (linf)", ylabel="accuracy under attack", ylim=(0, 1))
    ax.legend()
    return figure


def main(arguments=None):
    options = parse_arguments(arguments)
    with exit_on_error():
        folder = writable_folder(Path(options.output) / "robustness")
        data = load_classes(options, only_images=True)
    test = first_test_examples(data, options.examples)
    epsilons = np.linspace(0, 2 * options.epsilon, 7).round(4).tolist()
    reports = {}
    for name in ("normal", "adversarial"):
        model = train(data, options, adversarial=name == "adversarial")
        report = evaluate_robustness(
            model, test, epsilons, steps=options.steps, seed=options.seed
        )
        print(report)
        reports[name] = report
        save_picture(report.plot(), folder / f"{name}.png")
        with replacing(folder / f"{name}.csv") as path:
            report.to_frame().to_csv(path, index=False)
    save_picture(draw_curves(reports), folder / "curves.png")
    print(f"pictures and tables in {folder}")


if __name__ == "__main__":
    main()
