"""The plot of a `RobustnessReport`."""

import numpy as np

MAX_SHOWN = 5


def draw_report(report, figure=None):
    """Plots the accuracy against epsilon, with a panel of examples.

    Args:
        report: A `RobustnessReport`.
        figure: Matplotlib figure for the plot. Defaults to `None`: a new figure.

    Returns:
        The figure.
    """
    import matplotlib.pyplot as plt

    shown = min(MAX_SHOWN, len(report.examples["label"]))
    if figure is None:
        size = (5.5 + 3.6 * bool(shown), 5.5 if shown else 4.5)
        figure = plt.figure(figsize=size, layout="constrained")
    if not shown:
        _draw_curve(report, figure.subplots())
        return figure
    curve, panel = figure.subfigures(1, 2, width_ratios=(5.5, 3.6))
    _draw_curve(report, curve.subplots())
    axes = panel.subplots(shown, 3, squeeze=False)
    drawn = {name: report.examples[name][:shown] for name in ("x", "adversarial")}
    changes = drawn["adversarial"] - drawn["x"]
    reach = max(float(np.abs(changes).max()), 1e-12)
    for index, row in enumerate(axes):
        _draw_example(report.examples, row, index, reach)
    epsilon = f"{report.examples['epsilon']:.3g}"
    for ax, title in zip(
        axes[0], ("original", f"change, epsilon {epsilon}", "adversarial"), strict=True
    ):
        ax.set_title(f"{title}\n{ax.get_title()}".rstrip(), fontsize=8)
    if _is_image(changes[0]):
        colors = axes[0, 1].images[0]
        bar = panel.colorbar(colors, ax=axes, location="bottom", shrink=0.6, aspect=30)
        bar.ax.tick_params(labelsize=7)
        bar.set_label("change of a pixel", fontsize=8)
    return figure


def _draw_curve(report, ax):
    frame = report.to_frame()
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

    robust = with_clean("accuracy")
    if report.certificate is not None:
        certified = list(report.certified_accuracy.values())
        certified = np.array([clean["accuracy"]] * len(start) + certified)
        ax.fill_between(
            epsilons, certified, robust, color="C0", alpha=0.2, lw=0, label="unknown"
        )
        ax.plot(epsilons, certified, "C2o-", ms=4, lw=2, label="certified")
    else:
        ax.fill_between(
            epsilons, with_clean("low"), with_clean("high"), color="k", alpha=0.12, lw=0
        )
    ax.plot(epsilons, robust, "k.-", lw=2, label="all stages")
    ax.set(xlabel=f"epsilon ({report.norm})", ylabel="accuracy", ylim=(-0.02, 1.02))
    ax.legend(fontsize=8)


def _draw_example(examples, axes, index: int, reach: float):
    """Draws an example, its change and the result, with the predicted classes.

    Args:
        examples: The `examples` of a `RobustnessReport`.
        axes: The three axes of a row.
        index: Index of the example.
        reach: Largest absolute change of all examples, for a common scale.
    """
    x, adversarial = examples["x"][index], examples["adversarial"][index]
    label = examples["label"][index]
    titles = (
        f"{examples['predicted'][index]} (true: {label})",
        "",
        f"{examples['fooled'][index]}",
    )
    images = (x, adversarial - x, adversarial)
    low, high = min(x.min(), adversarial.min()), max(x.max(), adversarial.max())
    ranges = ((low, high), (-reach, reach), (low, high))
    colors = ("gray", "RdBu_r", "gray")
    for ax, image, title, (bottom, top), color in zip(
        axes, images, titles, ranges, colors, strict=True
    ):
        if _is_image(image):
            shown = image[..., 0] if image.shape[-1:] == (1,) else image
            if shown.ndim == 3 and color == "RdBu_r":
                shown = shown.mean(axis=-1)
            ax.imshow(shown, cmap=color, vmin=bottom, vmax=top)
        else:
            ax.plot(image.ravel(), lw=0.8)
            ax.set_ylim(bottom, top)
        ax.set(xticks=[], yticks=[])
        ax.set_title(title, fontsize=8)


def _is_image(values: np.ndarray) -> bool:
    return values.ndim == 2 or (values.ndim == 3 and values.shape[-1] in (1, 3))
