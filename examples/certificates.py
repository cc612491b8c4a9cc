"""How much of the robust accuracy can be proved, and which training makes it provable?

The script trains the same network three times: on clean examples, on adversarial
examples, and so that interval bounds certify it. For each network, the accuracy under
attack is an upper bound for the robust accuracy, and the certified accuracy is a lower
bound. The script writes these files to `runs/certificates/`:

- `brackets.png`: the bounds of all three networks against epsilon;
- `normal.csv`, `adversarial.csv` and `certified.csv`: for each network, a table of the
  bounds.

    python examples/certificates.py
    python examples/certificates.py --dataset mnist --epochs 30 --units 512
"""

from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from common import (
    ExampleParser,
    exit_on_error,
    first_test_examples,
    load_classes,
    save_picture,
)

from zoo import mlp
from zoo.adversarial import (
    PGD,
    AdversarialTrainer,
    CertifiedTrainer,
    IBPNormal,
    certify,
    evaluate_robustness,
)
from zoo.utils.files import replacing, writable_folder

TRAININGS = ("normal", "adversarial", "certified")


def parse_arguments(arguments=None):
    parser = ExampleParser(__doc__)
    parser.add_argument("--dataset", default="digits", help="images for classification")
    parser.add_robust_training(
        reach="1.5 times",
        layers="both hidden layers",
        epsilon=0.06,
        units=64,
        epochs=40,
        examples=300,
        steps=20,
    )
    return parser.parse_args(arguments)


def train(data, options, training: str) -> keras.Model:
    keras.utils.set_random_seed(options.seed)
    data.order.counter = 0
    initial = IBPNormal() if training == "certified" else "auto"
    model = trainer = mlp(
        data.input_shape,
        data.num_outputs,
        units=[options.units] * 2,
        kernel_initializer=initial,
    )
    if training == "adversarial":
        trainer = AdversarialTrainer(model, PGD(options.epsilon, steps=5))
    elif training == "certified":
        steps = options.epochs * sum(1 for _ in data.train)
        trainer = CertifiedTrainer(
            model, options.epsilon, warmup_steps=steps // 20, ramp_steps=steps // 2
        )
    trainer.compile(keras.optimizers.Adam(2e-3), data.loss, metrics=data.metrics)
    trainer.fit(data.train, epochs=options.epochs, shuffle=False, verbose=0)
    return model


def bracket(model, test, epsilons, options) -> pd.DataFrame:
    """Returns the lower and upper bounds for the robust accuracy."""
    report = evaluate_robustness(
        model, test, epsilons, steps=options.steps, restarts=1, certify=True, verbose=0
    )
    intervals = certify(model, test, epsilons, method="ibp", verbose=0)
    return pd.DataFrame(
        {
            "epsilon": epsilons,
            "certified (IBP)": intervals.certified_accuracy.values(),
            "certified (CROWN)": report.certified_accuracy.values(),
            "under attack": report.robust_accuracy.values(),
            "unknown examples": report.gap.values(),
        }
    )


def draw(tables: dict, epsilon: float):
    figure, axes = plt.subplots(
        1, len(tables), figsize=(11, 3.8), sharey=True, layout="constrained"
    )
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        x, certified = table["epsilon"], table["certified (CROWN)"]
        ax.fill_between(
            x, certified, table["under attack"], alpha=0.25, label="unknown"
        )
        for column, style in zip(table.columns[1:4], ("o:", "o--", "o-"), strict=True):
            ax.plot(x, table[column], style, ms=3, label=column)
        if name != "normal":
            ax.axvline(epsilon, color="k", lw=0.8, ls=":", label="epsilon in training")
        ax.set(
            xlabel="epsilon (linf, pixels in [0, 1])",
            title=f"{name} training",
            ylim=(-0.02, 1.02),
        )
    axes[0].set_ylabel("accuracy")
    axes[-1].legend(fontsize=8, loc="lower left")
    return figure


def main(arguments=None):
    options = parse_arguments(arguments)
    with exit_on_error():
        folder = writable_folder(Path(options.output) / "certificates")
        data = load_classes(options, only_images=True, batch_size=64)
    test = first_test_examples(data, options.examples)
    epsilons = np.linspace(0, 1.5 * options.epsilon, 7).round(4).tolist()
    tables = {}
    for name in TRAININGS:
        tables[name] = bracket(train(data, options, name), test, epsilons, options)
        print(f"{name} training\n{tables[name].round(4).to_string(index=False)}")
        with replacing(folder / f"{name}.csv") as path:
            tables[name].to_csv(path, index=False)
    save_picture(draw(tables, options.epsilon), folder / "brackets.png")
    print(f"Pictures and tables: {folder}")


if __name__ == "__main__":
    main()
