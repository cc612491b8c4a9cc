# %% [markdown]
# # 9. Is random search better than a grid?
#
# Of $d$ hyperparameters, a grid of $n$ trials tests only $n^{1/d}$ values of each.
# Random search tests $n$ values of each, which pays if few of them matter. If the best
# region has a share $q$ of the space, the probability that $n$ random trials hit it is
#
# $$P(\mathrm{hit}) = 1 - (1 - q)^n$$
#
# The scale matters, too: for a learning rate $\eta = 10^u$, the exponent $u$ is
# uniform.
#
# Source: Bergstra & Bengio, "Random Search for Hyper-Parameter Optimization" (2012),
# sections 1 and 3. The expected best of $n$ trials: Dodge et al., "Show Your Work"
# (2019), section 3.1.

# %%
import itertools
import json
import tempfile
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from course import answer, exercise, quick, show

from tuning import CoarseToFineSearch, RandomSearch
from zoo import datasets, ensemble, mlp

LOWEST, HIGHEST = 1e-5, 10.0  # learning rates
EPOCHS = quick(8, 1)
PER_AXIS = quick(4, 2)  # values of each hyperparameter in the grid
GRID = PER_AXIS**2  # trials
folder = tempfile.TemporaryDirectory()

data = datasets.load("digits", batch_size=64, validation=0.4)

# %% [markdown]
# ## The space
#
# Two hyperparameters: a learning rate over six decades, and the dropout rate.


# %%
def build(hp, sampling="log"):
    rate = hp.Float("learning_rate", LOWEST, HIGHEST, sampling=sampling, default=1e-2)
    dropout = hp.Float("dropout", 0.0, 0.6, default=0.0)
    model = mlp(data.input_shape, data.num_outputs, units=(64,), dropout=dropout)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    model.compile(optimizer, data.loss, metrics=data.metrics)
    return model


def build_linear(hp):
    return build(hp, sampling="linear")


def run(search):
    data.order.counter = 0
    search.search(
        data.train,
        validation_data=data.validation,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
    )
    print(search, flush=True)
    return search


def settings(name):
    return {"seed": 0, "directory": folder.name, "project_name": name}


# %% [markdown]
# ## Grid, random, and random on a linear scale
#
# A grid is a list of trials that are given in advance. From the random trials, the
# expected best of as many trials as the grid has is computed.

# %%
points = itertools.product(
    np.geomspace(LOWEST, HIGHEST, PER_AXIS).tolist(),
    np.linspace(0.0, 0.6, PER_AXIS).tolist(),
)
grid_points = [{"learning_rate": rate, "dropout": drop} for rate, drop in points]
searches = {
    "grid": RandomSearch(
        build,
        "val_accuracy",
        max_trials=GRID,
        initial_trials=grid_points,
        **settings("grid"),
    ),
    "random": RandomSearch(
        build, "val_accuracy", max_trials=quick(33, 11), **settings("random")
    ),
    "random, linear scale": RandomSearch(
        build_linear, "val_accuracy", max_trials=quick(17, 3), **settings("linear")
    ),
    "coarse to fine": CoarseToFineSearch(
        build,
        "val_accuracy",
        rounds=quick(4, 2),
        trials_per_round=quick(8, 2),
        **settings("fine"),
    ),
}
for search in searches.values():
    run(search)

# %% [markdown]
# ## The audit trail of the coarse-to-fine search
#
# After each round, the search narrows a range if there is evidence that it matters, and
# writes the reason to a file.

# %%
for path in sorted(Path(folder.name, "fine").glob("round_*.json")):
    for decision in json.loads(path.read_text()):
        print(f"{path.stem}, {decision['hyperparameter']}: {decision['decision']}")
importance = searches["random"].importance()
print(importance.round(3).to_string(index=False))

# %% [markdown]
# ## An ensemble of the best
#
# The three best trials are there already, so that their mean costs nothing more to
# train. The test split is read here for the first time.

# %%
best = searches["coarse to fine"].best_models(3)
together = ensemble.average(best)
together.compile(loss=data.loss, metrics=data.metrics)
test = {
    name: 100 * model.evaluate(data.test, verbose=0, return_dict=True)["accuracy"]
    for name, model in {"the best": best[0], "the mean of three": together}.items()
}

# %% [markdown]
# ## The picture

# %%
scores = {name: search.results() for name, search in searches.items()}
figure, axes = plt.subplots(2, 2, figsize=(10, 8), layout="constrained")
for ax, name in zip(axes[0], ("grid", "random"), strict=True):
    table = scores[name].head(GRID)
    shown = ax.scatter(
        table.learning_rate, table.dropout, c=100 * table.score, vmin=0, vmax=100
    )
    ax.plot(table.learning_rate, [-0.06] * len(table), "k|", markersize=12)
    values = table.learning_rate.nunique()
    ax.set(
        title=f"{name}: {len(table)} trials, {values} learning rates (marks below)",
        xlabel="learning rate",
        ylabel="dropout rate",
        xscale="log",
        xlim=(LOWEST / 2, HIGHEST * 2),
    )
figure.colorbar(shown, ax=axes[0], label="validation accuracy in %")
for name, marker in {"random": "o", "random, linear scale": "x", "grid": "s"}.items():
    table = scores[name]
    axes[1, 0].plot(
        table.learning_rate, 100 * table.score, marker, alpha=0.7, label=name
    )
axes[1, 0].set(
    title="Only the learning rate matters much",
    xlabel="learning rate",
    ylabel="validation accuracy in %",
    xscale="log",
)
for name, search in searches.items():
    best_so_far = 100 * search.best_so_far_info()["best"]
    axes[1, 1].plot(range(1, len(best_so_far) + 1), best_so_far, label=name)
top = max(100 * table.score.max() for table in scores.values())
axes[1, 1].set(
    title="The best so far",
    xlabel="number of trials",
    ylabel="validation accuracy in %",
    ylim=(top - 10, top + 0.5),
)
for ax in axes[1]:
    ax.legend(fontsize=8)
show(figure, "09_searching")
show(searches["coarse to fine"].plot(), "09_coarse_to_fine")

# %% [markdown]
# ## The measurement
#
# A single grid can be lucky: that depends on where its values lie. The learning rates
# of all trials within two points of the best one show how wide the good region is, and
# hence how probable it is to hit it: with a grid that is placed at random, and with as
# many random trials.

# %%
rates, accuracies = (
    np.concatenate([table[column] for table in scores.values()])
    for column in ("learning_rate", "score")
)
good = rates[accuracies >= np.nanmax(accuracies) - 0.02]
decades = np.log10(HIGHEST / LOWEST)
width = np.log10(good.max() / good.min())
of_grid = min(width * (PER_AXIS - 1) / decades, 1.0)
of_random = 1 - (1 - width / decades) ** GRID
expected = searches["random"].expected_best_info()
at = min(GRID, len(expected["mean"])) - 1
mean, low, high = (100 * expected[key][at] for key in ("mean", "low", "high"))
reached = {
    name: f"{100 * table.score.max():.1f} % in {len(table)} trials"
    for name, table in scores.items()
}
answer(
    "random search beats a grid when few hyperparameters matter; learning rates belong "
    "on a logarithmic scale; search coarsely first, then finely.",
    "best validation accuracy: "
    + ", ".join(f"{name} {text}" for name, text in reached.items())
    + f". Expected of {at + 1} random trials: {mean:.1f} % (80 % of the cases: "
    f"{low:.1f} to {high:.1f} %). The good learning rates span {width:.1f} of "
    f"{decades:.0f} decades: a grid at a random place hits them with a probability of "
    f"{100 * of_grid:.0f} %, {GRID} random trials with {100 * of_random:.0f} %. Test "
    "accuracy of "
    + ", of ".join(f"{name} {accuracy:.1f} %" for name, accuracy in test.items())
    + ".",
)
folder.cleanup()

# %% [markdown]
# ## Exercise
#
# How many random trials are needed, so that the probability that at least one of them
# is among the best 5 % of the space is at least 95 %?


# %%
@exercise
def check_number_of_trials(answer):
    def probability(trials):
        return 1 - (1 - 0.05) ** trials

    is_smallest = probability(answer) >= 0.95 > probability(answer - 1)
    return is_smallest, "What is the probability that all trials miss?"


my_number = None  # your answer: an integer
check_number_of_trials(my_number)

# %% [markdown]
# ## Solution
#
# All $n$ trials miss with the probability $0.95^n$, which must be at most 0.05. The
# answer does not depend on the number of hyperparameters.

# %%
# Solution
solution = int(np.ceil(np.log(0.05) / np.log(0.95)))
mistakes = [20, solution - 1, solution + 1]
check_number_of_trials(solution)
