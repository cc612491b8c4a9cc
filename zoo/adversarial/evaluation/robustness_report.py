"""The results of `evaluate_robustness`."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

MAX_SHOWN = 5


@dataclass(frozen=True)
class RobustnessReport:
    """Stores the results of `evaluate_robustness`; `print` shows them as a table.

    Each stage attacks only the examples that withstood all earlier stages. The accuracy
    reported for a stage is thus the accuracy after this stage and all earlier stages,
    and the accuracy after the last stage is the robust accuracy. The reported robust
    accuracy is only an upper bound, because other attacks might break more examples.

    Args:
        rows: Tuple of dictionaries, one for each epsilon and stage, with these entries:

            - `epsilon` and `stage`,
            - `accuracy`: the fraction of examples that are still classified correctly,
            - `low` and `high`: the limits of the 95 % confidence interval (Wilson) for
              the accuracy,
            - `attacked`: the number of examples that the stage attacked,
            - `broken`: the number of examples that the stage broke,
            - `largest_perturbation`: the norm of the largest perturbation,
            - `non_finite`: the number of examples at which an objective or a gradient
              was not finite,
            - `seconds`: the running time,
            - `seed`: the random seed.
        warnings: List of messages, one for each suspicious finding.
        norm: "linf" or "l2".
        examples: Dictionary of the examples that `plot` shows. The entry `epsilon` is
            the largest epsilon of the evaluation. The other entries are arrays:

            - `x` and `adversarial`: the original and the adversarial inputs,
            - `label`: the true classes,
            - `predicted` and `fooled`: the predictions for the original and for the
              adversarial inputs.

    Attributes:
        clean_accuracy: The accuracy without an attack.
        robust_accuracy: A dictionary that maps each epsilon to the robust accuracy.
    """

    rows: tuple[dict, ...]
    warnings: list[str]
    norm: str
    examples: dict

    @property
    def clean_accuracy(self) -> float:
        return self.rows[0]["accuracy"]

    @property
    def robust_accuracy(self) -> dict[float, float]:
        return {row["epsilon"]: row["accuracy"] for row in self.rows}

    def to_frame(self) -> pd.DataFrame:
        """Returns the rows as a pandas `DataFrame`."""
        return pd.DataFrame(list(self.rows))

    def plot(self, figure=None):
        """Plots the accuracy against epsilon, with a panel of examples.

        The panel shows the inputs, perturbations and adversarial inputs, with the
        predictions of the model. Inputs that are not images are drawn as curves.

        Args:
            figure: Matplotlib figure for the plot. Defaults to `None`: a new figure.

        Returns:
            The figure.
        """
        import matplotlib.pyplot as plt

        shown = min(MAX_SHOWN, len(self.examples["label"]))
        if figure is None:
            size = (5.5 + 3.6 * bool(shown), 4.5)
            figure = plt.figure(figsize=size, layout="constrained")
        if not shown:
            self._draw_curve(figure.subplots())
            return figure
        curve, panel = figure.subfigures(1, 2, width_ratios=(5.5, 3.6))
        self._draw_curve(curve.subplots())
        axes = panel.subplots(shown, 3, squeeze=False)
        for index, row in enumerate(axes):
            self._draw_example(row, index)
        return figure

    def __str__(self) -> str:
        frame = self.to_frame()
        columns = dict.fromkeys(frame["stage"])
        table = frame.pivot(index="epsilon", columns="stage", values="accuracy")
        table = table[list(columns)].map(_percent)
        last = frame.groupby("epsilon").last()
        intervals = [
            f"{_percent(low)} - {_percent(high)}"
            for low, high in zip(last["low"], last["high"], strict=True)
        ]
        table["95 % interval"] = intervals
        table["largest"] = last["largest_perturbation"].map("{:.4g}".format)
        seconds = frame["seconds"].sum()
        lines = [
            f"Robustness in {self.norm}: accuracy after each stage, on "
            f"{self.rows[0]['attacked']:,} examples ({seconds:.0f} s, seed "
            f"{self.rows[0]['seed']})",
            table.reset_index().to_string(index=False),
            *(f"WARNING: {sentence}" for sentence in self.warnings),
        ]
        return "\n".join(lines)

    def _draw_curve(self, ax):
        frame = self.to_frame()
        last = frame.groupby("epsilon").last()
        clean = frame.iloc[0]
        start = [0.0] if last.index[0] > 0 else []
        epsilons = [*start, *last.index]
        for stage in list(dict.fromkeys(frame["stage"]))[1:-1]:
            values = frame[frame["stage"] == stage]
            ax.plot(
                [*start, *values["epsilon"]],
                [clean["accuracy"]] * len(start) + list(values["accuracy"]),
                lw=0.9,
                alpha=0.7,
                label=stage,
            )

        def with_clean(column):
            return np.array([clean[column]] * len(start) + list(last[column]))

        ax.fill_between(
            epsilons, with_clean("low"), with_clean("high"), color="k", alpha=0.12, lw=0
        )
        ax.plot(epsilons, with_clean("accuracy"), "k.-", lw=2, label="all stages")
        ax.set(xlabel=f"epsilon ({self.norm})", ylabel="accuracy", ylim=(-0.02, 1.02))
        ax.legend(fontsize=8)

    def _draw_example(self, axes, index):
        examples = self.examples
        x, adversarial = examples["x"][index], examples["adversarial"][index]
        label = examples["label"][index]
        titles = (
            f"{examples['predicted'][index]} (true: {label})",
            f"epsilon {examples['epsilon']:.3g}",
            f"{examples['fooled'][index]}",
        )
        images = (x, adversarial - x, adversarial)
        low, high = min(x.min(), adversarial.min()), max(x.max(), adversarial.max())
        reach = max(float(np.abs(images[1]).max()), 1e-12)
        ranges = ((low, high), (-reach, reach), (low, high))
        colors = ("gray", "RdBu", "gray")
        for ax, image, title, (bottom, top), color in zip(
            axes, images, titles, ranges, colors, strict=True
        ):
            if _is_image(image):
                shown = image[..., 0] if image.shape[-1:] == (1,) else image
                if shown.ndim == 3 and color == "RdBu":
                    shown = shown.mean(axis=-1)
                ax.imshow(shown, cmap=color, vmin=bottom, vmax=top)
            else:
                ax.plot(image.ravel(), lw=0.8)
                ax.set_ylim(bottom, top)
            ax.set(xticks=[], yticks=[])
            ax.set_title(title, fontsize=8)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _is_image(values: np.ndarray) -> bool:
    return values.ndim == 2 or (values.ndim == 3 and values.shape[-1] in (1, 3))
