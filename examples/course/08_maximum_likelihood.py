# %% [markdown]
# # 8. What does a squared error assume about the noise?
#
# Targets are a function of the input plus Gaussian noise of precision $\beta$:
# $p(y \mid x, w, \beta) = \mathcal{N}(y \mid f(x, w), \beta^{-1})$. The negative log
# likelihood of $N$ examples is minimized by the weights with the least squared error:
#
# $$-\ln p = \frac{\beta}{2} \sum_n (y_n - f(x_n, w))^2 - \frac{N}{2} \ln \beta
# + \frac{N}{2} \ln 2\pi, \qquad
# \frac{1}{\beta_\mathrm{ML}} = \frac{1}{N} \sum_n (y_n - f(x_n, w))^2$$
#
# A prior $w \sim \mathcal{N}(0, \alpha^{-1})$ adds $\frac{\alpha}{2} \sum_j w_j^2$, so
# that the most probable weights (MAP) are those of an L2 penalty.
#
# Source: Bishop, "Pattern Recognition and Machine Learning" (2006), sections 1.2.5 and
# 3.1; Nix & Weigend, "Estimating the Mean and Variance of the Target Probability
# Distribution" (1994), for noise that depends on the input.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from course import answer, exercise, quick, show
from scipy.optimize import minimize_scalar

from zoo import mlp
from zoo.losses import GaussianNLL

SIGMA = 0.25  # standard deviation of the noise
EPOCHS = quick(300, 20)
GENERATOR = np.random.default_rng(0)


def curve(x):
    return np.sin(2 * np.pi * x)


def sample(size, sigma):
    """Returns inputs, and targets with noise of a deviation that may depend on them."""
    x = GENERATOR.uniform(0, 1, (size, 1))
    return x, curve(x) + sigma(x) * GENERATOR.standard_normal((size, 1))


def fit(x, y, loss, **options):
    keras.utils.set_random_seed(0)
    model = mlp((1,), 1, units=(64, 64), activation="tanh", **options)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    model.fit(x, y, batch_size=100, epochs=EPOCHS, verbose=0)
    return model


# %% [markdown]
# ## The noise, from the residuals
#
# A network is trained with the mean squared error. Its residuals give the precision
# $\beta$; a numerical minimization of the negative log likelihood over $\beta$ must
# find the same value. Residuals of training examples are too small, because the network
# has learnt some of their noise; those of new examples are not.


# %%
def negative_log_likelihood(residuals, beta):
    return (beta * residuals**2 - np.log(beta) + np.log(2 * np.pi)).mean() / 2


train = sample(quick(500, 100), lambda x: SIGMA)
new = sample(2000, lambda x: SIGMA)
model = fit(*train, "mse")
betas = {}
for name, (x, y) in {"training": train, "new": new}.items():
    residuals = y - model.predict(x, verbose=0)
    best = minimize_scalar(
        lambda log_beta, residuals=residuals: negative_log_likelihood(
            residuals, np.exp(log_beta)
        ),
        bounds=(-10, 10),
        method="bounded",
        options={"xatol": 1e-10},
    )
    betas[name] = 1 / (residuals**2).mean()
    print(
        f"{name} examples: 1 / MSE {betas[name]:.2f}, "
        f"the most likely precision {np.exp(best.x):.2f}, true {1 / SIGMA**2:.2f}"
    )

# %% [markdown]
# ## A prior is an L2 penalty
#
# Polynomials of degree 9 on 10 points, as in Bishop's figure 1.4. The most probable
# weights have a closed form. Multiplied by $\frac{2}{\beta N}$, the negative log
# posterior is
#
# $$\frac{1}{N} \sum_n (y_n - w \cdot \phi(x_n))^2 + \frac{\alpha}{\beta N}
# \sum_j w_j^2,$$
#
# which is what Keras minimizes with the loss "mse" and
# `keras.regularizers.L2(alpha / (beta * N))`: its penalty has no factor of one half.


# %%
def features(x):
    return np.polynomial.legendre.legvander(2 * x[:, 0] - 1, 9)  # includes a constant


x, y = sample(10, lambda x: SIGMA)
alpha, beta = 1.0, 1 / SIGMA**2
phi = features(x)
closed_form = np.linalg.solve(
    alpha * np.eye(10) + beta * phi.T @ phi, beta * phi.T @ y
)  # equation 3.53 and 3.54
penalty = alpha / (beta * len(x))
keras.utils.set_random_seed(0)
polynomial = keras.Sequential(
    [
        keras.Input((10,)),
        keras.layers.Dense(
            1, use_bias=False, kernel_regularizer=keras.regularizers.L2(penalty)
        ),
    ]
)
polynomial.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
polynomial.fit(phi, y, batch_size=len(x), epochs=quick(1500, 300), verbose=0)
difference = np.abs(polynomial.get_weights()[0] - closed_form).max()
maximum_likelihood = np.linalg.lstsq(phi, y, rcond=None)[0]
print(
    f"largest weight: {np.abs(maximum_likelihood).max():.1f} without a prior, "
    f"{np.abs(closed_form).max():.2f} with it; Keras differs from the closed form by "
    f"at most {difference:.1e}"
)

# %% [markdown]
# ## Noise that depends on the input
#
# With `learn_noise=True`, a network also predicts the logarithm of the variance, and
# the Gaussian negative log likelihood is its loss.


# %%
def growing_noise(x):
    return 0.05 + 0.5 * x


x_noise, y_noise = sample(quick(2000, 200), growing_noise)
x_new, y_new = sample(2000, growing_noise)
learnt = fit(x_noise, y_noise, GaussianNLL(), learn_noise=True)
constant = fit(x_noise, y_noise, "mse")
residuals = y_new - constant.predict(x_new, verbose=0)
spread = float(np.square(y_noise - constant.predict(x_noise, verbose=0)).mean())
likelihoods = {
    "constant": negative_log_likelihood(residuals, 1 / spread),
    "learnt": learnt.evaluate(x_new, y_new, verbose=0),
}
true_noise = growing_noise(x_new)
likelihoods["true"] = float(
    (np.log(true_noise) + 0.5 * np.log(2 * np.pi)).mean()
    + np.square((y_new - curve(x_new)) / true_noise).mean() / 2
)

# %% [markdown]
# ## The picture

# %%
figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(12, 4.2), layout="constrained"
)
grid = np.linspace(0, 1, 200)[:, None]
left.hist(
    new[1] - model.predict(new[0], verbose=0),
    50,
    density=True,
    color="0.8",
    label="new examples",
)
errors = np.linspace(-1, 1, 300)
for name, precision in {
    "true": 1 / SIGMA**2,
    "from the residuals": betas["new"],
}.items():
    density = np.sqrt(precision / 2 / np.pi) * np.exp(-precision * errors**2 / 2)
    left.plot(
        errors, density, "--" if name == "true" else "-", label=f"density, {name}"
    )
left.set(
    title="Residuals", xlabel="target minus prediction", ylabel="density", ylim=(0, 2.3)
)

middle.plot(x, y, "ko", label="10 examples")
middle.plot(grid, curve(grid), "k--", lw=1, label="without noise")
middle.plot(grid, features(grid) @ maximum_likelihood, "C3", label="maximum likelihood")
middle.plot(grid, features(grid) @ closed_form, "C0", lw=4, alpha=0.5, label="prior")
middle.plot(
    grid, polynomial.predict(features(grid), verbose=0), "C1", label="L2 in Keras"
)
middle.set(
    title="Polynomials of degree 9", xlabel="input", ylabel="target", ylim=(-3, 3)
)

mean, log_variance = learnt.predict(grid, verbose=0).T
deviation = np.exp(log_variance / 2)
right.plot(x_noise, y_noise, ".", color="0.5", markersize=3, label="examples")
right.fill_between(
    grid[:, 0],
    mean - 2 * deviation,
    mean + 2 * deviation,
    alpha=0.3,
    label="learnt, ± 2 deviations",
)
for side in (-2, 2):
    right.plot(grid, curve(grid) + side * growing_noise(grid), "k--", lw=1)
right.plot([], [], "k--", lw=1, label="true, ± 2 deviations")
right.plot(grid, mean, "C0", label="learnt mean")
right.set(title="Learnt noise", xlabel="input", ylabel="target")
for panel in (left, middle, right):
    panel.legend(fontsize=8)
show(figure, "08_maximum_likelihood")

# %% [markdown]
# ## The measurement

# %%
answer(
    "the squared error is the likelihood under Gaussian noise, its precision is one "
    "over the mean squared error, and a Gaussian prior is an L2 penalty.",
    f"the true precision is {1 / SIGMA**2:.1f}; one over the MSE is "
    f"{betas['new']:.1f} on new and {betas['training']:.1f} on training examples. "
    f"The weights of L2 are those of the prior within {difference:.1e}. Negative log "
    f"likelihood of new examples with noise that grows: {likelihoods['constant']:.3f} "
    f"with constant noise, {likelihoods['learnt']:.3f} with learnt noise, "
    f"{likelihoods['true']:.3f} with the true one.",
)

# %% [markdown]
# ## Exercise
#
# A linear model has the loss "mse" on $N = 200$ examples, the noise has a standard
# deviation of 0.2, and the prior of each weight a standard deviation of 2. Which number
# must be passed to `keras.regularizers.L2`, so that training finds the most probable
# weights?


# %%
@exercise
def check_penalty(answer):
    generator = np.random.default_rng(0)
    phi, noise, prior = generator.standard_normal((200, 5)), 0.2, 2.0
    y = phi @ (prior * generator.standard_normal(5)) + noise * generator.normal(
        size=200
    )
    moments, products = phi.T @ phi, phi.T @ y
    most_probable = np.linalg.solve(
        moments / noise**2 + np.eye(5) / prior**2, products / noise**2
    )
    # Where the gradient of the mean squared error plus the penalty is zero.
    minimum = np.linalg.solve(moments / 200 + answer * np.eye(5), products / 200)
    is_right = np.allclose(minimum, most_probable, rtol=1e-9, atol=0)
    return is_right, "Multiply the negative log posterior so that it contains the MSE."


my_penalty = None  # your answer: a number
check_penalty(my_penalty)

# %% [markdown]
# ## Solution
#
# With $\beta = 1 / 0.2^2$ and $\alpha = 1 / 2^2$, the penalty is $\alpha / (\beta N)$.
# It shrinks as the examples become more: data outweigh a prior.

# %%
# Solution
solution = 0.2**2 / (2.0**2 * 200)
mistakes = [0.2**2 / 2.0**2, 0.5 * solution, 0.2 / (2.0 * 200)]
check_penalty(solution)
