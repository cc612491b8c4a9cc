# %% [markdown]
# # 3. How do we know that a gradient is right?
#
# Compare the derivative with a difference quotient. By Taylor's theorem,
#
# - one-sided: $\frac{f(w + h) - f(w)}{h} = f'(w) + \frac{h}{2} f''(w) + \dots$
# - centred: $\frac{f(w + h) - f(w - h)}{2h} = f'(w) + \frac{h^2}{6} f'''(w) + \dots$
# - rounding adds an error of about $\varepsilon |f| / h$, where $\varepsilon$ is
#   $10^{-16}$ in float64 and $10^{-7}$ in float32. The sum of both errors is smallest
#   at $h \approx \varepsilon^{1/2}$ and $h \approx \varepsilon^{1/3}$.
#
# The relative error of two derivatives is $|a - n| / \max(|a|, |n|)$ (CS231n, "Gradient
# checks"). The experiment measures it for a softmax classifier on digits, whose
# gradient is known in closed form.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from course import answer, exercise, quick, show
from keras import ops

from zoo import check_gradients, datasets, mlp

data = datasets.load("digits")
x, y = map(np.concatenate, zip(*data.train_batches(), strict=True))
pixels, labels = x.reshape(len(x), -1)[:500], y[:500]
generator = np.random.default_rng(0)
start = 0.1 * generator.normal(size=(64, 10))


def log_probabilities(weights):
    logits = pixels.astype(weights.dtype) @ weights
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def loss(weights):
    return -np.mean(log_probabilities(weights)[np.arange(len(labels)), labels])


def gradient(weights):
    errors = np.exp(log_probabilities(weights)) - np.eye(10)[labels]
    return pixels.T @ errors / len(labels)


def relative_error(a, n):
    return abs(a - n) / max(abs(a), abs(n))


def one_sided(weights, place, h):
    return (moved(weights, place, h) - loss(weights)) / h


def centred(weights, place, h):
    return (moved(weights, place, h) - moved(weights, place, -h)) / (2 * h)


def moved(weights, place, h):
    weights = weights.copy()
    weights[place] += h
    return loss(weights)


# %% [markdown]
# ## The error against $h$
#
# The error is the median over some weights with a large gradient.

# %%
exact = gradient(start)
largest = np.argsort(-abs(exact), axis=None)[: quick(40, 5)]
places = [np.unravel_index(index, exact.shape) for index in largest]
sizes = 10.0 ** np.arange(-14, 0.5, quick(0.25, 1))

errors = {}
for dtype in ("float64", "float32"):
    weights = start.astype(dtype)
    for formula in (one_sided, centred):
        errors[formula.__name__.replace("_", "-"), dtype] = [
            np.median(
                [
                    relative_error(exact[place], formula(weights, place, h))
                    for place in places
                ]
            )
            for h in sizes.astype(dtype)
        ]
best = {key: sizes[np.argmin(values)] for key, values in errors.items()}
least = {key: min(values) for key, values in errors.items()}

figure, panel = plt.subplots(figsize=(8.5, 5), layout="constrained")
for (formula, dtype), values in errors.items():
    color = {"one-sided": "C1", "centred": "C0"}[formula]
    line = {"float64": "-", "float32": ":"}[dtype]
    label = f"{formula}, {dtype}: best h = {best[formula, dtype]:.0e}"
    panel.loglog(sizes, values, line, color=color, label=label)
    panel.plot(best[formula, dtype], least[formula, dtype], "o", color=color)
panel.axhline(1e-7, color="k", linewidth=0.8)
panel.text(sizes[0], 1.3e-7, "right: below $10^{-7}$", fontsize=9)
panel.set(xlabel="step size h", ylabel="relative error of the difference quotient")
panel.set_title("Large steps are curved, small steps are rounded")
panel.set_ylim(top=10)
panel.legend(fontsize=9)
panel.grid(alpha=0.3)
show(figure, "03_step_size")

# %% [markdown]
# ## A planted bug
#
# The derivative of $y = \tanh(z)$ is $1 - y^2$. In the second network, it is $1 - y$,
# and training does not tell: the loss still falls. `check_gradients` uses centred
# differences with $h = 10^{-5}$, on a copy of the model in float64.


# %%
@ops.custom_gradient
def tanh_with_bug(z):
    y = ops.tanh(z)

    def backward(*arguments, upstream=None):
        upstream = arguments[0] if upstream is None else upstream
        return upstream * (1 - y)  # the bug: y is not squared

    return y, backward


@keras.saving.register_keras_serializable("course")
def buggy_tanh(z):
    return tanh_with_bug(z)


found = {}
for activation in ("tanh", buggy_tanh):
    name = getattr(activation, "__name__", activation)
    keras.utils.set_random_seed(0)
    data.order.counter = 0
    model = mlp(data.input_shape, 10, units=(30,), activation=activation)
    model.compile("adam", data.loss, metrics=data.metrics)
    report = check_gradients(model, x[:20], y[:20], samples=quick(20, 5))
    found[name] = report.error
    model.fit(data.train, epochs=quick(20, 1), shuffle=False, verbose=0)
    scores = model.evaluate(data.validation, return_dict=True, verbose=0)
    print(
        f"{name}: validation accuracy {100 * scores['accuracy']:.1f} % after training"
    )
    print(report)

answer(
    "the centred formula is much more accurate; h is about 1e-5, in float64; a "
    "relative error below 1e-7 is right, and one above 1e-2 is a bug.",
    f"the best h is {best['centred', 'float64']:.0e} for the centred formula, with an "
    f"error of {least['centred', 'float64']:.0e}, and "
    f"{best['one-sided', 'float64']:.0e} for the one-sided formula, with "
    f"{least['one-sided', 'float64']:.0e}; in float32, no h reaches an error below "
    f"{least['centred', 'float32']:.0e}. check_gradients finds {found['tanh']:.2g} for "
    f"tanh, and {found['buggy_tanh']:.2g} with the bug.",
)

# %% [markdown]
# ## Exercise
#
# Write a function of $f$, $w$ and $h$ that evaluates $f$ at $w \pm h$ and $w \pm 2h$,
# and whose error falls as $h^4$.


# %%
@exercise
def check_derivative(derivative):
    for f, slope in ((np.exp, np.exp), (np.sin, np.cos)):
        large, small = (abs(derivative(f, 0.7, h) - slope(0.7)) for h in (0.1, 0.05))
        if not 12 < large / small < 20:
            hint = f"Half of h divides the error for {f.__name__} by "
            return False, f"{hint}{large / small:.3g}; expected 16."
    return True, ""


my_derivative = None  # for example: lambda f, w, h: (f(w + h) - f(w - h)) / (2 * h)
check_derivative(my_derivative)

# %% [markdown]
# ## Solution
#
# With the step $2h$, the centred formula has four times the error
# $\frac{h^2}{6} f'''(w)$. Four times the formula with $h$ minus the formula with $2h$
# is $3 f'(w)$, without this error (Richardson extrapolation).


# %%
# Solution
def solution(f, w, h):
    near = (f(w + h) - f(w - h)) / (2 * h)
    far = (f(w + 2 * h) - f(w - 2 * h)) / (4 * h)
    return (4 * near - far) / 3


mistakes = [
    lambda f, w, h: (f(w + h) - f(w)) / h,
    lambda f, w, h: (f(w + h) - f(w - h)) / (2 * h),
    lambda f, w, h: (f(w + 2 * h) - f(w - 2 * h)) / (4 * h),
]
check_derivative(solution)
