# %% [markdown]
# # 10. How easily is a network fooled, and what helps against it?
#
# An attack looks for the worst input within a distance $\epsilon$; FGSM takes one step
# of it, and PGD many, each projected back into the ball $B_\epsilon(x)$:
#
# $$x_{t+1} = \Pi_{B_\epsilon(x)}
# \left(x_t + a\,\mathrm{sign}\,\nabla_x L(x_t, y)\right)$$
#
# Adversarial training minimizes the loss of the worst inputs that PGD finds:
#
# $$\min_\theta\ \mathbb{E}\ \max_{\lVert \delta \rVert_\infty \le \epsilon}
# L(x + \delta, y; \theta)$$
#
# A certificate proves that *no* attack succeeds: a lower bound $\underline{m}$ of the
# margin $z_y - z_k$ over the whole ball is positive for every other class $k$.
#
# Sources: Goodfellow, Shlens & Szegedy, "Explaining and Harnessing Adversarial
# Examples" (2015), section 4; Madry et al., "Towards Deep Learning Models Resistant to
# Adversarial Attacks" (2018), section 2; Athalye, Carlini & Wagner, "Obfuscated
# Gradients Give a False Sense of Security" (2018); Zhang et al., "Efficient Neural
# Network Robustness Certification" (2018).

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from course import answer, exercise, quick, show

from zoo import datasets, mlp
from zoo.adversarial import FGSM, PGD, AdversarialTrainer, evaluate_robustness

EPSILON = 0.1  # in training, for pixels in [0, 1]
EPSILONS = quick((0.0, 0.05, 0.1, 0.15), (0.0, 0.1))
LARGEST = EPSILONS[-1]
EPOCHS = quick(30, 2)
STEPS = quick(20, 3)  # of each attack in the evaluation

data = datasets.load("digits")
test = tuple(np.concatenate(part) for part in zip(*data.test, strict=True))
test = tuple(np.asarray(part)[: quick(300, 40)] for part in test)

# %% [markdown]
# ## Attack and defence
#
# The same network, trained on clean and on adversarial examples. `evaluate_robustness`
# attacks with several methods and counts an example as broken if one of them succeeds.
# With `certify=True`, it also counts the examples for which linear bounds prove that no
# attack can.


# %%
def train(adversarial):
    keras.utils.set_random_seed(0)
    data.order.counter = 0
    model = mlp(data.input_shape, data.num_outputs, units=(64, 64))
    trained = AdversarialTrainer(model, PGD(EPSILON, steps=5)) if adversarial else model
    trained.compile(keras.optimizers.Adam(2e-3), data.loss, metrics=data.metrics)
    trained.fit(data.train, epochs=EPOCHS, shuffle=False, verbose=0)
    return model


def evaluate(model, certify=True):
    return evaluate_robustness(
        model, test, EPSILONS, steps=STEPS, restarts=1, certify=certify, verbose=0
    )


models = {"normal": train(adversarial=False), "adversarial": train(adversarial=True)}
reports = {name: evaluate(model) for name, model in models.items()}
for name, report in reports.items():
    print(f"\n{name} training\n{report}")

# %% [markdown]
# ## A defence that only seems to work
#
# The third network rounds its inputs to five levels before it computes anything. The
# rounding is flat almost everywhere, so the gradient with respect to the input is zero,
# and an attack that follows gradients has nothing to follow: the gradients are masked.
# Behind the rounding is the normal network. Rounding also removes changes that do not
# reach the next level, which is a real defence, but only against small changes.


# %%
def rounds_its_inputs(model):
    inputs = keras.Input(data.input_shape)
    masked = keras.Model(inputs, model(keras.ops.round(4 * inputs) / 4))
    masked.compile(loss=data.loss, metrics=data.metrics)
    return masked


def accuracy_under(attack, model):
    x, y = test
    logits = model.predict(attack(model, x, y), verbose=0)
    return float((logits.argmax(axis=1) == y).mean())


models["rounded inputs"] = rounds_its_inputs(models["normal"])
reports["rounded inputs"] = evaluate(models["rounded inputs"], certify=False)
attacks = {"FGSM": FGSM(LARGEST), "PGD": PGD(LARGEST, steps=STEPS)}
naive = {
    name: {attack: accuracy_under(run, model) for attack, run in attacks.items()}
    for name, model in models.items()
}
print(f"rounded inputs\n{reports['rounded inputs']}")

# %% [markdown]
# ## The picture

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
for color, (name, report) in zip(("C3", "C0", "C1"), reports.items(), strict=True):
    robust = report.robust_accuracy
    left.plot(
        [*robust], [100 * share for share in robust.values()], f"{color}o-", label=name
    )
    if report.certified_accuracy:
        certified = report.certified_accuracy
        left.plot(
            [*certified],
            [100 * share for share in certified.values()],
            f"{color}s:",
            label=f"{name}, proved",
        )
left.set(
    title="All attacks, and what is proved",
    xlabel="epsilon, in units of a pixel in [0, 1]",
    ylabel="test accuracy in %",
    ylim=(-3, 103),
)
left.legend(fontsize=8)
bars = [*attacks, "all attacks"]
for number, (name, report) in enumerate(reports.items()):
    values = [*naive[name].values(), report.robust_accuracy[LARGEST]]
    right.bar(
        np.arange(len(bars)) + 0.27 * (number - 1),
        [100 * value for value in values],
        0.25,
        color=("C3", "C0", "C1")[number],
        label=name,
    )
right.set_xticks(range(len(bars)), bars)
right.set(
    title=f"A single attack can flatter (epsilon {LARGEST})",
    ylabel="test accuracy in %",
    ylim=(0, 103),
)
right.legend(fontsize=8)
show(figure, "10_attack_and_defence")
show(reports["normal"].plot(), "10_adversarial_examples")

# %% [markdown]
# ## The measurement

# %%
normal, adversarial, rounded = (report.robust_accuracy for report in reports.values())
proved = reports["adversarial"].certified_accuracy
warnings = reports["rounded inputs"].warnings
answer(
    "tiny changes fool a network, adversarial training helps, and some defences only "
    "mask the gradients.",
    f"at epsilon {EPSILON}, {100 * normal[EPSILON]:.0f} % remain correct after normal "
    f"training; after adversarial training {100 * adversarial[EPSILON]:.0f} %, and "
    f"{100 * proved[EPSILON]:.0f} % are proved. Clean: {100 * normal[0.0]:.0f} "
    f"and {100 * adversarial[0.0]:.0f} %. With rounded inputs, at epsilon {LARGEST}, "
    f"{100 * naive['rounded inputs']['PGD']:.0f} % seem to withstand PGD, but "
    f"{100 * rounded[LARGEST]:.0f} % withstand all attacks; the report has "
    f"{len(warnings)} warnings.",
)

# %% [markdown]
# ## Exercise
#
# A linear classifier decides between two classes by the sign of $w \cdot x + b$. What
# is the smallest $\epsilon$ (in the maximum norm) at which some perturbation of $x$
# changes its decision, for the values below? There are no bounds on the inputs.


# %%
generator = np.random.default_rng(0)
w, b, x0 = generator.normal(size=8), 0.5, generator.normal(size=8)


@exercise
def check_smallest_epsilon(answer):
    def margin_under_attack(epsilon):  # the worst case: one step against the sign
        side = np.sign(w @ x0 + b)
        return side * (w @ (x0 - epsilon * side * np.sign(w)) + b)

    flips = margin_under_attack(1.001 * answer) < 0
    holds = margin_under_attack(0.999 * answer) > 0
    return flips and holds, "Which perturbation changes w @ x most, and by how much?"


my_epsilon = None  # your answer: a number, or an expression of w, b and x0
check_smallest_epsilon(my_epsilon)

# %% [markdown]
# ## Solution
#
# A perturbation of size $\epsilon$ changes $w \cdot x$ by at most
# $\epsilon \lVert w \rVert_1$, and $\epsilon\,\mathrm{sign}(w)$ reaches that. This is
# the reason why FGSM uses the sign: for a linear model it is the optimal attack.

# %%
# Solution
margin = abs(w @ x0 + b)
solution = margin / np.abs(w).sum()
mistakes = [margin / np.linalg.norm(w), margin, margin / np.abs(w).max()]
check_smallest_epsilon(solution)
