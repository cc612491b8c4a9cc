# %% [markdown]
# # 7. Is a large, regularized network better than a small one?
#
# A penalty on the weights is added to the loss. Keras' L2 has no factor of one half:
#
# $$\frac{1}{N} \sum_n L(x_n, y_n; w) + \lambda \sum_j w_j^2 \quad \mathrm{(L2)},
# \qquad \dots + \lambda \sum_j \lvert w_j \rvert \quad \mathrm{(L1)}$$
#
# Dropout multiplies the units by a random mask in training, and does nothing otherwise:
#
# $$\tilde h_j = \frac{m_j}{1 - p}\, h_j, \qquad m_j \sim \mathrm{Bernoulli}(1 - p)$$
#
# Sources: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from
# Overfitting" (2014), sections 4 and 7.5; Belkin et al., "Reconciling Modern
# Machine-Learning Practice and the Classical Bias-Variance Trade-Off" (2019).

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from course import answer, exercise, quick, show

from zoo import datasets, mlp

EPOCHS = quick(60, 2)
SEEDS = quick(3, 1)
LARGE = quick((512, 512), (32, 32))

data = datasets.load("digits", batch_size=32)
inputs, labels = (
    np.concatenate(part) for part in zip(*data.train_batches(), strict=True)
)
order = np.random.default_rng(0).permutation(len(labels))
few, rest = order[:300], order[300:]
clean = inputs[few], labels[few]
held_out = inputs[rest], labels[rest]

generator = np.random.default_rng(0)
wrong = generator.random(len(few)) < 0.2
shift = np.where(wrong, generator.integers(1, 10, len(few)), 0)
noisy = inputs[few], (labels[few] + shift) % 10

# %% [markdown]
# ## Large and small networks on few examples
#
# Each network is trained on the same 300 digits, a fifth of which have a wrong label,
# and judged on the other examples of the training split, whose labels are right.


# %%
def fit(
    seed,
    examples=noisy,
    epochs=EPOCHS,
    validation_freq=EPOCHS,
    callbacks=None,
    **options,
):
    """Returns a trained network, and its history."""
    keras.utils.set_random_seed(seed)
    model = mlp(data.input_shape, data.num_outputs, **options)
    model.compile(keras.optimizers.Adam(1e-3), data.loss, metrics=data.metrics)
    history = model.fit(
        *examples,
        batch_size=32,
        epochs=epochs,
        validation_data=held_out,
        validation_freq=validation_freq,
        verbose=0,
        callbacks=callbacks,
    )
    return model, history.history


networks = {
    "small": {"units": (16,)},
    "large": {"units": LARGE},
    "large, L2": {"units": LARGE, "kernel_regularizer": keras.regularizers.L2(1e-2)},
    "large, L1": {"units": LARGE, "kernel_regularizer": keras.regularizers.L1(1e-3)},
    "large, dropout": {"units": LARGE, "dropout": 0.7},
}
models, errors = {}, {}
for name, options in networks.items():
    runs = [fit(seed, **options) for seed in range(SEEDS)]
    models[name] = runs[0][0]
    errors[name] = [100 * (1 - history["val_accuracy"][-1]) for _, history in runs]
    print(f"{name}: errors on new examples {np.round(errors[name], 1)} %", flush=True)

# %% [markdown]
# ## L1 makes weights sparse
#
# The slope of an L1 penalty does not shrink with the weight, so weights that the loss
# does not need end near zero. The slope of L2 does shrink: weights become small, but
# vanish only where the loss has no slope at all, such as those of dead units.

# %%
SMALL = 1e-3
weights = {
    name: np.abs(models[name].get_layer("hidden_2").kernel.numpy()).ravel()
    for name in ("large", "large, L2", "large, L1")
}
sparse = {name: 100 * (values < SMALL).mean() for name, values in weights.items()}

# %% [markdown]
# ## Dropout is an ensemble
#
# Every mask is a network of its own, and all of them share weights. In inference mode,
# dropout is off; that approximates the mean of all these networks (section 7.5 of the
# paper). Here, the mean is computed: the probabilities of $n$ masks are averaged.

# %%
MASKS = quick(100, 4)
model = models["large, dropout"]
probabilities = np.cumsum(
    [
        keras.ops.convert_to_numpy(keras.ops.softmax(model(held_out[0], training=True)))
        for _ in range(MASKS)
    ],
    axis=0,
)
mask_errors = 100 * (probabilities.argmax(axis=-1) != held_out[1]).mean(axis=1)
without_masks = errors["large, dropout"][0]

# %% [markdown]
# ## Why the validation loss is below the training loss
#
# The training loss of `fit` is the mean over an epoch, with dropout, while the weights
# still improve. Here, all labels are right. The validation loss is computed at the end
# of the epoch, without dropout. Computed in the same way, the training loss is the
# smaller one again.


# %%
class TrainingLoss(keras.callbacks.Callback):
    """Evaluates the training loss at the end of each epoch, in inference mode."""

    def on_train_begin(self, logs=None):
        self.losses = []

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(self.model.evaluate(*clean, verbose=0)[0])


same_way = TrainingLoss()
_, curves = fit(
    0,
    clean,
    epochs=quick(20, 2),
    validation_freq=1,
    callbacks=[same_way],
    units=LARGE,
    dropout=0.5,
)
below = np.array(curves["val_loss"]) < np.array(curves["loss"])
below_same_way = np.array(curves["val_loss"]) < np.array(same_way.losses)

# %% [markdown]
# ## Double descent
#
# The same 300 digits with wrong labels again. The networks have one hidden
# layer of random ReLU units that stay as they are. Only the linear head is learnt, by
# least squares; if several heads fit the labels exactly, the smallest one is taken. The
# head can do so from a width of 300 on, as many units as examples.

# %%
WIDTHS = np.unique(np.geomspace(10, quick(5000, 600), quick(24, 6)).astype(int))
WIDTHS = np.unique([*WIDTHS, len(few)])
targets = np.eye(10)[noisy[1]]


def errors_of_width(width, ridge):
    """Returns the errors in % on the noisy training labels and on new examples."""
    hidden = generator.standard_normal((64, width)) * np.sqrt(2 / 64)
    features, new = (
        np.maximum(x.reshape(len(x), -1) @ hidden, 0) / np.sqrt(width)
        for x in (noisy[0], held_out[0])
    )
    if ridge:
        gram = features @ features.T + ridge * np.eye(len(features))
        head = features.T @ np.linalg.solve(gram, targets)
    else:
        head = np.linalg.lstsq(features, targets, rcond=None)[0]
    return (
        100 * ((features @ head).argmax(axis=1) != noisy[1]).mean(),
        100 * ((new @ head).argmax(axis=1) != held_out[1]).mean(),
    )


descent = {
    ridge: np.array(
        [
            np.mean([errors_of_width(width, ridge) for _ in range(5)], axis=0)
            for width in WIDTHS
        ]
    )
    for ridge in (0.0, 0.1)
}

# %% [markdown]
# ## The picture

# %%
figure, panels = plt.subplot_mosaic(
    [["errors", "weights"], ["masks", "losses"], ["descent", "descent"]],
    figsize=(10, 11),
    layout="constrained",
)
for number, values in enumerate(errors.values()):
    panels["errors"].plot([number] * len(values), values, "o", color=f"C{number}")
    panels["errors"].plot(number, np.mean(values), "k_", markersize=24)
panels["errors"].set_xticks(range(len(errors)), [*errors], rotation=20)
panels["errors"].set(
    title=f"A fifth of the labels wrong, {SEEDS} seeds",
    ylabel="error on new examples in %",
)
for name, values in weights.items():
    panels["weights"].hist(
        np.clip(values, 1e-7, None),
        np.geomspace(1e-7, 1, 60),
        histtype="step",
        lw=1.5,
        label=f"{name}: {sparse[name]:.0f} % below {SMALL}",
    )
panels["weights"].margins(y=0.4)  # room for the legend
panels["weights"].set(
    title="Weights of the second hidden layer",
    xlabel="absolute value",
    ylabel="number of weights",
    xscale="log",
)
panels["masks"].plot(range(1, MASKS + 1), mask_errors, label="mean over n masks")
panels["masks"].axhline(without_masks, color="k", ls="--", label="without dropout")
panels["masks"].set(
    title="Dropout as an ensemble",
    xlabel="number of masks n",
    ylabel="error on new examples in %",
    xscale="log",
)
epochs = range(1, len(curves["loss"]) + 1)
panels["losses"].plot(epochs, curves["loss"], label="training, as `fit` shows it")
panels["losses"].plot(epochs, same_way.losses, "C0:", label="training, as validation")
panels["losses"].plot(epochs, curves["val_loss"], "C1", label="validation")
panels["losses"].set(
    title="Two training losses, with dropout", xlabel="epoch", ylabel="loss in nats"
)
for color, (ridge, values) in zip(("C3", "C0"), descent.items(), strict=True):
    label = f"L2 of {ridge}" if ridge else "no penalty"
    panels["descent"].plot(WIDTHS, values[:, 1], color, marker=".", label=label)
panels["descent"].plot(
    WIDTHS, descent[0.0][:, 0], "C3:", label="no penalty, noisy training labels"
)
panels["descent"].axvline(len(few), color="0.7", zorder=0)
panels["descent"].set(
    title="Double descent: 300 examples, a fifth of the labels wrong",
    xlabel="width of the hidden layer",
    ylabel="error in %",
    xscale="log",
)
for name in ("weights", "masks", "losses", "descent"):
    panels[name].legend(fontsize=8)
show(figure, "07_regularization")

# %% [markdown]
# ## The measurement

# %%
means = {name: np.mean(values) for name, values in errors.items()}
free = descent[0.0][:, 1]
peak = int(np.argmax(free[WIDTHS >= 100])) + int((WIDTHS < 100).sum())
answer(
    "a large network with regularization beats a small one; L1 makes weights sparse; "
    "dropout is an ensemble of networks; the validation loss can be below the training "
    "loss; beyond the width that fits all labels, the error falls a second time.",
    "errors on new examples: "
    + ", ".join(f"{name} {mean:.1f} %" for name, mean in means.items())
    + f". Weights below {SMALL}: "
    + ", ".join(f"{name} {share:.0f} %" for name, share in sparse.items())
    + f". One mask {mask_errors[0]:.1f} %, mean of {MASKS} masks "
    f"{mask_errors[-1]:.1f} %, without dropout {without_masks:.1f} %. The validation "
    f"loss is below the training loss in {below.sum()} of {len(below)} epochs; in "
    f"{below_same_way.sum()} if both are without dropout. Double descent: "
    f"{free[:peak].min():.0f} % at width {WIDTHS[np.argmin(free[:peak])]}, "
    f"{free[peak]:.0f} % at {WIDTHS[peak]}, {free[-1]:.0f} % at {WIDTHS[-1]}; with L2, "
    f"{descent[0.1][-1, 1]:.0f} % at {WIDTHS[-1]}.",
)

# %% [markdown]
# ## Exercise
#
# Many texts define weight decay by the penalty $\frac{\lambda}{2} \sum_j w_j^2$. Which
# $\lambda$ of that definition is the same as `keras.regularizers.L2(0.01)`?


# %%
@exercise
def check_decay(answer):
    regularizer = keras.regularizers.L2(0.01)
    weights = np.array([-2.0, 0.5, 3.0])
    of_keras = float(regularizer(weights))
    is_right = np.isclose(answer / 2 * np.square(weights).sum(), of_keras)
    return (
        is_right,
        "Write both penalties of a single weight, and compare their slopes.",
    )


my_decay = None  # your answer: a number
check_decay(my_decay)

# %% [markdown]
# ## Solution
#
# Keras adds $0.01\,w^2$, whose slope is $0.02\,w$. The slope of
# $\frac{\lambda}{2} w^2$ is $\lambda w$.

# %%
# Solution
solution = 0.02
mistakes = [0.01, 0.005, -0.02]
check_decay(solution)
