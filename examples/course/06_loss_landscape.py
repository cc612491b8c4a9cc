# %% [markdown]
# # 6. Do skip connections smooth the loss landscape?
#
# The loss is a function of all weights. A picture shows it on a plane through the
# trained weights $\theta$, spanned by two random directions $\delta$ and $\eta$:
#
# $$f(\alpha, \beta) = L(\theta + \alpha\,\delta + \beta\,\eta)$$
#
# The entries of a direction are normal, and each filter $i$ (the weights of one unit)
# then gets the length of the filter that it moves, so that networks can be compared:
#
# $$\delta_i \leftarrow \frac{\delta_i}{\lVert \delta_i \rVert}\,
# \lVert \theta_i \rVert$$
#
# Source: Li, Xu, Taylor, Studer & Goldstein, "Visualizing the Loss Landscape of Neural
# Nets" (2018), sections 3 and 4.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from course import answer, exercise, quick, show

from zoo import datasets, loss_surface, mlp, res_mlp

UNITS = quick(64, 16)
BLOCKS = quick(8, 2)  # the deep networks have two layers in each block, and a stem
EPOCHS = quick(20, 1)
POINTS = quick(25, 5)

data = datasets.load("digits", batch_size=64)
x, y = (np.concatenate(part) for part in zip(*data.train_batches(), strict=True))

# %% [markdown]
# ## The experiment
#
# Three networks with batch normalization, as in the paper: a shallow one, a deep one,
# and one of the same depth and width with skip connections around every two layers.
# All are trained in the same way.


# %%
def train(build, **options):
    """Returns a trained network, and its validation accuracy in %."""
    keras.utils.set_random_seed(0)
    data.order.counter = 0
    model = build(
        data.input_shape,
        data.num_outputs,
        normalization="batch",
        preprocessing=data.normalization(),
        **options,
    )
    model.compile(keras.optimizers.Adam(1e-3), data.loss, metrics=data.metrics)
    history = model.fit(
        data.train,
        validation_data=data.validation,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
    ).history
    return model, 100 * history["val_accuracy"][-1]


depth = 2 * BLOCKS + 1
networks = {
    "plain, 3 layers": train(mlp, units=(UNITS,) * 3),
    f"plain, {depth} layers": train(mlp, units=(UNITS,) * depth),
    f"skip connections, {depth} layers": train(
        res_mlp, units=UNITS, num_blocks=BLOCKS, residual_init="scaled"
    ),
}
surfaces = {
    name: loss_surface(model, (x, y), points=POINTS, seed=0, verbose=0)
    for name, (model, _) in networks.items()
}

# %% [markdown]
# ## The picture
#
# One scale for all networks. Losses above its end are cut off.

# %%
lowest = min(surface.losses.min() for surface in surfaces.values())
figure = plt.figure(figsize=(9, 12), layout="constrained")
rows = figure.subfigures(len(surfaces), 1)
for row, (name, surface) in zip(rows, surfaces.items(), strict=True):
    surface.plot(row, limits=(max(lowest, 1e-4), 100.0))
    accuracy = networks[name][1]
    row.suptitle(f"{name}: validation accuracy {accuracy:.1f} %")
show(figure, "06_loss_landscape")

# %% [markdown]
# ## The measurement
#
# A smooth bowl has one minimum and bends upwards everywhere. Two figures for how far a
# surface is from that: the number of its local minima (points below all eight
# neighbors), and the share of points at which it bends downwards in some direction,
# that is, at which the smaller eigenvalue of the Hessian (by finite differences) is
# negative.


# %%
def local_minima(losses):
    """Returns the number of inner points that are below all eight neighbors."""
    inner = losses[1:-1, 1:-1]
    size = len(losses)
    neighbors = [
        losses[1 + i : size - 1 + i, 1 + j : size - 1 + j]
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
        if (i, j) != (0, 0)
    ]
    return int((inner < np.min(neighbors, axis=0)).sum())


def share_bent_downwards(losses):
    """Returns the share of inner points, in %, that bend downwards in a direction."""
    first, second = (
        (losses[2:, 1:-1], losses[:-2, 1:-1]),
        (losses[1:-1, 2:], losses[1:-1, :-2]),
    )
    inner = losses[1:-1, 1:-1]
    xx, yy = (sum(pair) - 2 * inner for pair in (first, second))
    xy = (losses[2:, 2:] - losses[2:, :-2] - losses[:-2, 2:] + losses[:-2, :-2]) / 4
    smaller = (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return 100 * float((smaller < 0).mean())


measured = []
for name, surface in surfaces.items():
    minima, bent = local_minima(surface.losses), share_bent_downwards(surface.losses)
    print(f"{name}: {surface}")
    measured.append(
        f"{name}: minima {minima}, bent downwards {bent:.0f} % of the points"
    )
answer(
    "a deep network has a chaotic loss landscape, and skip connections make it smooth.",
    "; ".join(measured) + ".",
)

# %% [markdown]
# ## Exercise
#
# In a network with one hidden layer of ReLU units, multiply the weights and biases of
# the hidden layer by 10, and divide the weights of the head by 10. The network then
# computes the same function. Is its filter-normalized loss curve "sharper", "flatter"
# or "equal"? And what would you see without the normalization (section 3 of the paper)?


# %%
def curvature(model):
    """Returns the second difference of the loss curve at the weights of the model."""
    curve = loss_surface(model, (x, y), dimensions=1, points=3, span=0.3, verbose=0)
    return curve.losses.sum() - 3 * curve.center


keras.utils.set_random_seed(0)
small = mlp(data.input_shape, data.num_outputs, units=(16,))
small.compile("adam", data.loss)
small.fit(x, y, epochs=quick(3, 1), verbose=0)
before = curvature(small)
hidden, bias, head, head_bias = small.get_weights()
small.set_weights([10 * hidden, 10 * bias, head / 10, head_bias])
after = curvature(small)


@exercise
def check_scaled_network(answer):
    is_equal = np.isclose(after, before, rtol=1e-2)
    truth = "equal" if is_equal else "sharper" if after > before else "flatter"
    return answer == truth, "How long are the directions, compared with the filters?"


my_curve = None  # your answer: "sharper", "flatter" or "equal"
check_scaled_network(my_curve)

# %% [markdown]
# ## Solution
#
# Each filter of a direction is as long as the filter that it moves. Hence, the
# direction is scaled as the weights are: the ReLU passes the factor 10 on, and the head
# takes it back. Without the normalization, the step would be ten times smaller relative
# to the hidden weights, and ten times larger relative to those of the head: the picture
# would show the scale of the weights, not the network.

# %%
# Solution
solution = "equal"
mistakes = ["sharper", "flatter"]
check_scaled_network(solution)
