# %% [markdown]
# # 4. Which path does each optimizer take?
#
# With the gradient $g_t$ and the learning rate $\eta$, the weights $w$ move by
#
# - SGD: $-\eta g_t$; momentum: $v_t = \beta v_{t-1} - \eta g_t$ (Polyak 1964);
#   Nesterov: the same, with the gradient ahead (Sutskever et al. 2013)
# - Adagrad: $-\eta g_t / \sqrt{\sum_{s \le t} g_s^2}$ (Duchi et al. 2011); RMSProp: an
#   exponential average in place of the sum (Tieleman and Hinton 2012)
# - Adam: $-\eta \hat m_t / \sqrt{\hat v_t}$, with the averages $m_t$ of the gradients
#   and $v_t$ of their squares, divided by $1 - \beta_1^t$ and $1 - \beta_2^t$ (Kingma
#   and Ba 2015)
#
# The experiment draws the paths of Keras' own optimizers on four surfaces. A path has
# arrived when it stays below a given height. On each surface, each optimizer has the
# learning rate with which it arrives first. On the saddle, all have the rate 0.01.

# %%
from collections.abc import Callable
from dataclasses import dataclass

import keras
import matplotlib.pyplot as plt
import numpy as np
from course import answer, exercise, quick, show, show_animation
from keras import ops

from zoo import fit_lbfgs, mlp
from zoo.differentiation import compile_function, input_gradient

OPTIMIZERS = {
    "SGD": keras.optimizers.SGD,
    "momentum": lambda rate: keras.optimizers.SGD(rate, momentum=0.9),
    "Nesterov": lambda rate: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
    "Adagrad": lambda rate: keras.optimizers.Adagrad(rate, 0.0),
    "RMSProp": keras.optimizers.RMSprop,
    "Adam": keras.optimizers.Adam,
}
RATES = quick((0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0), (0.01, 0.1))
STEPS = quick(200, 20)


@dataclass
class Surface:
    height: Callable  # of two coordinates
    start: tuple
    target: float  # height at which a path has arrived
    limits: tuple  # of the plot: left, right, bottom, top
    rates: tuple = RATES

    def gradient(self):
        def heights(batch):
            return self.height(batch[:, 0], batch[:, 1])

        def gradient_at(point):
            return input_gradient(heights, point[None])[1][0]

        return compile_function(gradient_at)

    def steps_to_target(self, path):
        """Returns the step from which the path stays below the target, or infinity."""
        above = np.flatnonzero(~(self.height(*path.T) <= self.target))
        steps = above[-1] + 1 if len(above) else 0
        return steps if steps < len(path) else np.inf


def beale(x, y):
    terms = zip((1.5, 2.25, 2.625), (1, 2, 3), strict=True)
    return sum((constant - x + x * y**power) ** 2 for constant, power in terms)


def rosenbrock(x, y):
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


SURFACES = {
    "ravine": Surface(lambda x, y: x**2 / 20 + y**2, (-7, 2), 0.01, (-8, 3, -3, 3)),
    "Beale's function": Surface(beale, (1, 1.5), 0.05, (-0.5, 4, -1.5, 2)),
    "Rosenbrock's valley": Surface(rosenbrock, (-1, 1), 0.1, (-1.5, 1.5, -0.7, 2.7)),
    "saddle": Surface(
        lambda x, y: x**2 - y**2,
        (-1, 1e-3),
        -1,
        (-1.5, 1.5, -0.5, 1.5),
        rates=(0.01,),
    ),
}


def descend(optimizer, gradient, start, steps):
    """Returns the points on the path of an optimizer, of shape (points, 2)."""
    point = keras.Variable(np.array(start, "float32"))
    path = [np.array(start, float)]
    while len(path) <= steps and abs(path[-1]).max() < 99:
        optimizer.apply([gradient(point.value)], [point])
        path.append(ops.convert_to_numpy(point).astype(float))
    return np.array(path)


def best_path(surface, make_optimizer):
    """Returns the path with the learning rate that arrives first or, else, lowest."""
    gradient = surface.gradient()
    attempts = [
        descend(make_optimizer(rate), gradient, surface.start, STEPS)
        for rate in surface.rates
    ]
    return min(
        attempts,
        key=lambda path: (surface.steps_to_target(path), surface.height(*path[-1])),
    )


paths, steps = {}, {}
print(f"{'steps':20}" + "".join(f"{name:>10}" for name in OPTIMIZERS))
for title, surface in SURFACES.items():
    row = []
    for name, make_optimizer in OPTIMIZERS.items():
        path = paths[title, name] = best_path(surface, make_optimizer)
        count = surface.steps_to_target(path)
        steps[title, name] = f"{count}" if count < np.inf else f"over {STEPS}"
        row.append(f"{steps[title, name]:>10}")
    print(f"{title:20}" + "".join(row), flush=True)

# %% [markdown]
# ## The paths, and an animation
#
# The picture shows whole paths, and the numbers of steps. The animation shows when each
# optimizer is where. It is also saved to the file `runs/course/04_paths.gif`.


# %%
def draw_surfaces():
    """Returns a figure of the surfaces, and a line for each path."""
    figure, panels = plt.subplots(2, 2, figsize=(10, 8), layout="constrained")
    lines = {}
    for panel, (title, surface) in zip(panels.flat, SURFACES.items(), strict=True):
        left, right, bottom, top = surface.limits
        x, y = np.meshgrid(np.linspace(left, right, 120), np.linspace(bottom, top, 120))
        heights = surface.height(x, y)
        low = heights.min()
        levels = low + (heights.max() - low) * np.linspace(0, 1, 25) ** 3
        panel.contour(x, y, heights, levels, colors="0.8", linewidths=0.7)
        for index, name in enumerate(OPTIMIZERS):
            label = f"{name}: {steps[title, name]}"
            style = {"color": f"C{index}", "linewidth": 1.6, "label": label}
            (lines[title, name],) = panel.plot([], [], **style)
        panel.plot(*surface.start, "ks", markersize=5)
        panel.set(title=title, xlabel="$w_1$", ylabel="$w_2$")
        panel.axis(surface.limits)
        panel.legend(fontsize=8, title="steps", title_fontsize=8, loc="upper right")
    return figure, lines


figure, lines = draw_surfaces()
for key, line in lines.items():
    line.set_data(*paths[key].T)
show(figure, "04_paths")

figure, lines = draw_surfaces()
figure.set_dpi(70)


def draw_frame(step):
    for key, line in lines.items():
        line.set_data(*paths[key][: step + 1].T)
        line.set_markevery([min(step, len(paths[key]) - 1)])
        line.set_marker("o")
    figure.suptitle(f"step {step}")


frames = np.unique(np.geomspace(1, STEPS, quick(50, 4)).astype(int))
show_animation(figure, draw_frame, frames, "04_paths")

# %% [markdown]
# ## Batches make the path noisy
#
# A linear regression with two weights: the gradient of a batch is an unbiased estimate
# of the gradient of all 256 examples, and its variance falls with the size of the
# batch. All three paths have the same learning rate and number of steps.

# %%
generator = np.random.default_rng(0)
x = generator.normal(size=(256, 2)) * [1.5, 0.7]
y = x @ [1.0, -1.0] + generator.normal(size=256)
least_squares = np.linalg.lstsq(x, y, rcond=None)[0]
NOISE_STEPS = quick(200, 40)


def batch_gradient(batch_size):
    def gradient(weights):
        rows = generator.permutation(256)[:batch_size]
        errors = x[rows] @ ops.convert_to_numpy(weights) - y[rows]
        return ops.convert_to_tensor(2 * x[rows].T @ errors / batch_size, "float32")

    return gradient


figure, panels = plt.subplots(
    1, 3, figsize=(10, 3.8), layout="constrained", sharey=True
)
grid = np.meshgrid(np.linspace(-1.5, 2, 80), np.linspace(-2, 2, 80))
errors = np.tensordot(np.stack(grid, axis=-1), x, axes=(-1, 1)) - y
spread = {}
for panel, size in zip(panels, (1, 32, 256), strict=True):
    gradient = batch_gradient(size)
    path = descend(keras.optimizers.SGD(0.03), gradient, (-1, 1.5), NOISE_STEPS)
    late = path[len(path) // 2 :] - least_squares
    spread[size] = np.sqrt(np.mean(np.sum(late**2, axis=1)))
    panel.contour(*grid, np.mean(errors**2, axis=-1), 12, colors="0.8")
    panel.plot(*path.T, ".-", linewidth=0.8, markersize=3)
    panel.plot(*least_squares, "kx")
    panel.set_title(f"batches of {size}: {spread[size]:.2f} from minimum", fontsize=10)
    panel.set_xlabel("$w_1$")
panels[0].set_ylabel("$w_2$")
figure.suptitle("Paths of SGD; the distance is the root mean square of the second half")
show(figure, "04_batches")

# %% [markdown]
# ## L-BFGS
#
# On a small problem with a loss of all examples, the curvature can be estimated from
# successive gradients: L-BFGS (Liu and Nocedal 1989) solves $B s = -g$ with an estimate
# $B$ of the second derivatives. A network with 20 tanh units learns 100 points of a
# curve, with `fit_lbfgs` and with Adam on the full batch.

# %%
inputs = np.linspace(-1, 1, 100, dtype="float32")[:, None]
targets = np.sin(2 * np.pi * inputs) * inputs


def network(optimizer="sgd"):
    keras.utils.set_random_seed(0)
    model = mlp((1,), 1, units=(20,), activation="tanh")
    model.compile(optimizer, "mse")
    return model


def losses_of_adam(rate):
    model = network(keras.optimizers.Adam(rate))
    values = []
    for _ in range(BUDGET):
        model.reset_metrics()
        values.append(model.train_on_batch(inputs, targets))
    return np.array(values, float)


BUDGET = quick(2000, 20)  # evaluations of the loss and its gradient
losses = {rate: losses_of_adam(rate) for rate in quick((0.003, 0.01, 0.03), (0.03,))}
result = fit_lbfgs(network(), inputs, targets, max_iterations=quick(1000, 20))
shown = result.evaluations <= BUDGET

figure, panel = plt.subplots(figsize=(8, 4.2), layout="constrained")
for rate, values in losses.items():
    label = f"Adam, learning rate {rate}"
    panel.semilogy(np.arange(1, BUDGET + 1), values, linewidth=1, label=label)
panel.semilogy(result.evaluations[shown], result.losses[shown], "k", label="L-BFGS")
panel.set(xlabel="evaluations of loss and gradient", ylabel="mean squared error")
panel.set_title("20 tanh units learn a curve of 100 points")
panel.grid(alpha=0.3)
panel.legend()
show(figure, "04_lbfgs")

best = min(losses.values(), key=np.min)  # of Adam
needed = result.evaluations[result.losses <= best.min()]
ratio = (best.argmin() + 1) / needed[0] if len(needed) else 0
speedup = f"{ratio:.0f} times fewer" if ratio > 1 else "no fewer"
answer(
    "momentum and Nesterov are faster in a ravine than SGD; Adagrad, RMSProp and Adam "
    "leave the axis of a saddle at once, which SGD and momentum hardly do; small "
    "batches are noisy.",
    f"in the ravine, SGD needs {steps['ravine', 'SGD']} steps, momentum "
    f"{steps['ravine', 'momentum']}, Nesterov {steps['ravine', 'Nesterov']} and "
    f"Adam {steps['ravine', 'Adam']}; to leave the saddle, with the same learning "
    f"rate, SGD {steps['saddle', 'SGD']}, momentum {steps['saddle', 'momentum']}, "
    f"Adagrad {steps['saddle', 'Adagrad']} and Adam {steps['saddle', 'Adam']}. Batches "
    f"of 1 stay {spread[1] / spread[256]:.1f} times as far from the minimum as the "
    f"full batch. L-BFGS needs {speedup} "
    f"evaluations than Adam for the error that Adam reaches ({best.min():.0e}).",
)

# %% [markdown]
# ## Exercise
#
# Adam divides its averages by $1 - \beta_1^t$ and $1 - \beta_2^t$, because they start
# at zero. By which factor would its first step be longer without this correction, for
# $\beta_1 = 0.9$ and $\beta_2 = 0.999$?


# %%
@exercise
def check_factor(factor):
    weight, gradient = keras.Variable(0.0), 2.0
    optimizer = keras.optimizers.Adam(0.1, beta_1=0.9, beta_2=0.999)
    optimizer.apply([ops.convert_to_tensor(gradient)], [weight])
    corrected = abs(float(weight.value))
    mean, mean_square = 0.1 * gradient, 0.001 * gradient**2
    uncorrected = 0.1 * mean / np.sqrt(mean_square)
    is_right = np.isclose(factor, uncorrected / corrected, rtol=0.01)
    return is_right, f"The corrected step is {corrected:.3f}, for the rate 0.1."


my_factor = None  # a number
check_factor(my_factor)

# %% [markdown]
# ## Solution
#
# After the first step, $m = 0.1 \, g$ and $v = 0.001 \, g^2$. With the correction, the
# step is $\eta g / |g|$: the learning rate. Without it, the step is
# $\eta \cdot 0.1 / \sqrt{0.001}$, which is longer, not shorter.

# %%
# Solution
solution = 0.1 / 0.001**0.5
mistakes = [1.0, 0.1, 10.0, 1 / solution]
check_factor(solution)
