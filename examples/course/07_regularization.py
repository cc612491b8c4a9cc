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
STRENGTHS = quick((1e-4, 1e-3, 1e-2, 1e-1), (1e-3, 1e-2))
RATES = quick((0.3, 0.5, 0.7, 0.9), (0.3, 0.5))

data = datasets.load("digits", batch_size=32)
inputs, labels = (
    np.concatenate(part) for part in zip(*data.train_batches(), strict=True)
)
order = np.random.default_rng(0).permutation(len(labels))
few, choices, rest = np.split(order, [300, 600])
clean = inputs[few], labels[few]
validation = inputs[choices], labels[choices]
held_out = inputs[rest], labels[rest]

generator = np.random.default_rng(0)
wrong = generator.random(len(few)) < 0.2
shift = np.where(wrong, generator.integers(1, 10, len(few)), 0)
noisy = inputs[few], (labels[few] + shift) % 10

# %% [markdown]
# ## Large and small networks on few examples
#
# Each network is trained on the same 300 digits, a fifth of which have a wrong label.
# The strength of each penalty and the rate of dropout are those with the smallest error
# on 300 validation examples. The errors that are reported are those on the remaining
# examples of the training split. The labels of both are right.


# %%
def fit(options, seed=0, examples=noisy, epochs=EPOCHS, **settings):
    """Returns a trained network."""
    keras.utils.set_random_seed(seed)
    model = mlp(data.input_shape, data.num_outputs, **options)
    model.compile(keras.optimizers.Adam(1e-3), data.loss, metrics=data.metrics)
    model.fit(*examples, batch_size=32, epochs=epochs, verbose=0, **settings)
    return model


def error(model, examples):
    """Returns the error of a network in %."""
    return 100 * (1 - model.evaluate(*examples, verbose=0)[1])


def penalized(penalty):
    """Returns the options of a large network for each strength of a penalty."""
    return {
        strength: {"units": LARGE, "kernel_regularizer": penalty(strength)}
        for strength in STRENGTHS
    }


candidates = {  # the options by strength; 0 is none
    "small": {0: {"units": (16,)}},
    "large": {0: {"units": LARGE}},
    "large, L2": penalized(keras.regularizers.L2),
    "large, L1": penalized(keras.regularizers.L1),
    "large, dropout": {rate: {"units": LARGE, "dropout": rate} for rate in RATES},
}
models, errors, chosen = {}, {}, {}
for name, options in candidates.items():
    runs = {
        strength: [fit(settings, seed) for seed in range(SEEDS)]
        for strength, settings in options.items()
    }
    validation_errors = {
        strength: np.mean([error(model, validation) for model in networks])
        for strength, networks in runs.items()
    }
    chosen[name] = min(validation_errors, key=validation_errors.get)
    models[name] = runs[chosen[name]][0]
    errors[name] = [error(model, held_out) for model in runs[chosen[name]]]
    for strength, mean in validation_errors.items():
        print(f"{name}, strength {strength}: validation error {mean:.1f} %")
    print(f"{name}: errors on new examples {np.round(errors[name], 1)} %", flush=True)
titles = [
    f"{name} ({strength})" if strength else name for name, strength in chosen.items()
]

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
history = fit(
    {"units": LARGE, "dropout": 0.5},
    examples=clean,
    epochs=quick(20, 2),
    validation_data=validation,
    callbacks=[same_way],
).history
curves = history.history
below = np.array(curves["val_loss"]) < np.array(curves["loss"])
below_same_way = np.array(curves["val_loss"]) < np.array(same_way.losses)

# %% [markdown]
# ## Double descent
#
# The same 300 digits with wrong labels again. The networks have one hidden
# layer of random ReLU units that stay as they are. Only the linear head is learnt, by
# least squares; if several heads fit the labels exactly, the smallest one is taken. The
# head can do so from a width of 300 on, as many units as examples. The strength of L2
# is the one with the smallest validation error at the largest width.

# %%
WIDTHS = np.unique(np.geomspace(10, quick(5000, 600), quick(24, 6)).astype(int))
WIDTHS = np.unique([*WIDTHS, len(few)])
targets = np.eye(10)[noisy[1]]


def errors_of_width(width, ridge):
    """Returns the errors in % on the training, validation and new examples."""
    hidden = generator.standard_normal((64, width)) * np.sqrt(2 / 64)
    parts = [
        (np.maximum(x.reshape(len(x), -1) @ hidden, 0) / np.sqrt(width), y)
        for x, y in (noisy, validation, held_out)
    ]
    features = parts[0][0]
    if ridge:
        gram = features @ features.T + ridge * np.eye(len(features))
        head = features.T @ np.linalg.solve(gram, targets)
    else:
        head = np.linalg.lstsq(features, targets, rcond=None)[0]
    return [100 * ((x @ head).argmax(axis=1) != y).mean() for x, y in parts]


descent = {
    ridge: np.array(
        [
            np.mean([errors_of_width(width, ridge) for _ in range(5)], axis=0)
            for width in WIDTHS
        ]
    )
    for ridge in (0, 1e-3, 1e-2, 1e-1, 1)
}
RIDGE = min((ridge for ridge in descent if ridge), key=lambda r: descent[r][-1, 1])

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
two_lines = [title.replace(", ", "\n") for title in titles]
panels["errors"].set_xticks(range(len(errors)), two_lines, fontsize=9)
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
panels["descent"].plot(WIDTHS, descent[0][:, 2], "C3.-", label="no penalty")
panels["descent"].plot(WIDTHS, descent[RIDGE][:, 2], "C0.-", label=f"L2 of {RIDGE}")
panels["descent"].plot(
    WIDTHS, descent[0][:, 0], "C3:", label="no penalty, noisy training labels"
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
free = descent[0][:, 2]
peak = int(np.argmax(free[WIDTHS >= 100])) + int((WIDTHS < 100).sum())
answer(
    "a large network with regularization beats a small one; L1 makes weights sparse; "
    "dropout is an ensemble of networks; the validation loss can be below the training "
    "loss; beyond the width that fits all labels, the error falls a second time.",
    "errors on new examples: "
    + ", ".join(
        f"{title} {np.mean(values):.1f} %"
        for title, values in zip(titles, errors.values(), strict=True)
    )
    + f". Weights below {SMALL}: "
    + ", ".join(f"{name} {share:.0f} %" for name, share in sparse.items())
    + f". One mask {mask_errors[0]:.1f} %, mean of {MASKS} masks "
    f"{mask_errors[-1]:.1f} %, without dropout {without_masks:.1f} %. The validation "
    f"loss is below the training loss in {below.sum()} of {len(below)} epochs; in "
    f"{below_same_way.sum()} if both are without dropout. Double descent: "
    f"{free[:peak].min():.0f} % at width {WIDTHS[np.argmin(free[:peak])]}, "
    f"{free[peak]:.0f} % at {WIDTHS[peak]}, {free[-1]:.0f} % at {WIDTHS[-1]}; with L2, "
    f"{descent[RIDGE][-1, 2]:.0f} % at {WIDTHS[-1]}.",
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
    weights = np.array([-2.0, 0.5, 3.0], "float32")
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
