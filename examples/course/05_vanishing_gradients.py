# %% [markdown]
# # 5. Why did deep sigmoid networks not train, and what helps?
#
# In a network $h_k = \sigma(W_k h_{k-1})$, the gradient reaches the first layer through
# all others:
#
# - $\frac{\partial L}{\partial h_1} = W_2^\top D_2 W_3^\top D_3 \cdots
#   \frac{\partial L}{\partial h_n}$, with $D_k = \mathrm{diag}(\sigma'(W_k h_{k-1}))$
#   and $\sigma' \le 1/4$: the product vanishes (Hochreiter 1991)
# - ReLU: $D_k$ contains ones and zeros; skip connections: $h_k = h_{k-1} +
#   f(h_{k-1})$, with the derivative $1 + f'$ (He et al. 2016)
# - the remedy of 2006: train the layers one after the other, as autoencoders (Hinton
#   et al. 2006; Bengio et al. 2007; with noise: Vincent et al. 2010)
#
# The lectures trained networks with 30 units per layer on MNIST (compare Nielsen,
# "Neural Networks and Deep Learning", chapter 5). The experiment uses the smaller
# digits, and `examples/depth.py` repeats it on MNIST.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from course import GradientNorms, answer, exercise, quick, show
from keras import ops

from zoo import datasets, mlp, res_mlp
from zoo.differentiation import input_gradient

UNITS, EPOCHS, DEEP = quick((30, 40, 8), (30, 1, 4))
LECTURES = (88, 96.5, 96.9, 96.5, 96.5)  # % with 0 to 4 hidden layers, on MNIST
data = datasets.load("digits", batch_size=32)
images = np.concatenate([x for x, _ in data.train_batches()]).reshape(-1, 64)


def network(depth, activation="sigmoid"):
    keras.utils.set_random_seed(0)
    shape = (UNITS,) * depth
    return mlp(data.input_shape, 10, units=shape, activation=activation)


def train(model, rate):
    """Returns the validation accuracy of each epoch in %, and `GradientNorms`."""
    data.order.counter = 0
    model.compile(keras.optimizers.SGD(rate), data.loss, metrics=data.metrics)
    norms = GradientNorms(next(iter(data.validation)))
    split = {"validation_data": data.validation, "shuffle": False, "verbose": 0}
    history = model.fit(data.train, epochs=EPOCHS, callbacks=[norms], **split).history
    return 100 * np.array(history["val_accuracy"]), norms


# %% [markdown]
# ## 0 to 4 hidden layers

# %%
runs = {depth: train(network(depth), 0.5) for depth in range(5)}
by_depth = [accuracy[-1] for accuracy, _ in runs.values()]
norms = runs[4][1]

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.plot(range(5), by_depth, "o-", label="measured, on digits")
left.plot(range(5), LECTURES, "x:", color="k", label="in the lectures, on MNIST")
left.set(xlabel="hidden layers of 30 sigmoid units", ylabel="validation accuracy in %")
left.set(xticks=range(5), title="Accuracy")
left.legend()
for name, values, shade in zip(
    norms.layers, norms.norms.T, plt.cm.viridis(np.linspace(0, 0.9, 5)), strict=True
):
    right.semilogy(values, color=shade, label=name)
right.set(xlabel="epoch", ylabel="norm of the gradient of the weights")
right.set_title("Four hidden layers")
right.legend(fontsize=8)
for panel in (left, right):
    panel.grid(alpha=0.3)
show(figure, "05_depth")

# %% [markdown]
# ## Eight hidden layers, and three remedies
#
# Denoising pre-training: each layer learns to reconstruct its input, from a copy in
# which a quarter of the values is missing. Then the output of this layer is the input
# of the next one. The labels are not used. The network is trained as usual afterwards.


# %%
def pretrain(model, inputs, depth, epochs):
    """Trains the hidden layers of a model one by one, as denoising autoencoders."""
    for index in range(1, depth + 1):
        encoder = keras.Sequential(
            [
                keras.Input(inputs.shape[1:]),
                model.get_layer(f"hidden_{index}"),
                model.get_layer(f"hidden_{index}_activation"),
            ]
        )
        # NOTE[DIFF]: `Dropout` scales the remaining values up, which Vincent et al. do
        # not, and the decoder has weights of its own.
        noise = keras.layers.Dropout(0.25)
        decoder = keras.layers.Dense(inputs.shape[1], "sigmoid")
        autoencoder = keras.Sequential(
            [keras.Input(inputs.shape[1:]), noise, encoder, decoder]
        )
        autoencoder.compile(keras.optimizers.Adam(0.003), "binary_crossentropy")
        autoencoder.fit(inputs, inputs, epochs=epochs, verbose=0)
        inputs = encoder.predict(inputs, verbose=0)


pretrained = network(DEEP)
pretrain(pretrained, images, DEEP, quick(30, 1))
keras.utils.set_random_seed(0)
skipping = res_mlp(
    data.input_shape,
    10,
    units=UNITS,
    num_blocks=DEEP // 2,  # of two layers each
    activation="sigmoid",
    normalization=None,
    residual_init="scaled",
)
remedies = {
    "sigmoid": train(network(DEEP), 0.5),
    "ReLU": train(network(DEEP, "relu"), 0.1),
    "sigmoid, skip connections": train(skipping, 0.5),
    "sigmoid, pre-trained": train(pretrained, 0.5),
}

# %% [markdown]
# The left plot shows the gradients before the training with labels: for pre-training,
# after it.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for name, (accuracy, norms) in remedies.items():
    left.semilogy(np.arange(1, len(norms.layers) + 1), norms.norms[0], ".-", label=name)
    right.plot(np.arange(1, EPOCHS + 1), accuracy, label=name)
left.set(xlabel="layer, from the inputs to the outputs", title="Before training")
left.set_ylabel("norm of the gradient of the weights")
right.set(xlabel="epoch", ylabel="validation accuracy in %", title="Training")
right.legend(fontsize=8)
for panel in (left, right):
    panel.grid(alpha=0.3)
figure.suptitle(f"{DEEP} hidden layers of {UNITS} units on digits")
show(figure, "05_remedies")


def listed(values, form):
    return ", ".join(format(value, form) for value in values)


ratio = {}  # of the gradients of the first and the last layer
for name, (accuracy, norms) in remedies.items():
    ratio[name] = norms.norms[0][0] / norms.norms[0][-1]
    print(f"{name}: {accuracy[-1]:.1f} %, ratio of the gradients {ratio[name]:.0e}")
answer(
    f"{listed(LECTURES, 'g')} % with 0 to 4 hidden layers of sigmoid units on MNIST; "
    "deeper is not better, because the gradients vanish.",
    f"{listed(by_depth, '.1f')} % on digits. With {DEEP} layers, the gradient of the "
    f"first layer is {1 / ratio['sigmoid']:,.0f} times smaller than that of the last, "
    f"and the network reaches {remedies['sigmoid'][0][-1]:.0f} %; ReLU "
    f"{remedies['ReLU'][0][-1]:.0f} %, skip connections "
    f"{remedies['sigmoid, skip connections'][0][-1]:.0f} %, pre-training "
    f"{remedies['sigmoid, pre-trained'][0][-1]:.0f} %.",
)

# %% [markdown]
# ## Exercise
#
# A chain of sigmoid units with weights of 1 has one unit per layer. How many layers
# does it take until the gradient is at least 1,000 times smaller at the start of the
# chain, whatever the inputs and biases are?


# %%
@exercise
def check_layers(count):
    z = np.linspace(-5, 5, 1001, dtype="float32")
    _, slopes = input_gradient(ops.sigmoid, z)
    largest = float(ops.max(slopes))
    is_enough, is_too_many = largest**count <= 1e-3, largest ** (count - 1) <= 1e-3
    size = f"With {count} layers, the largest possible gradient is {largest**count:.1e}"
    return is_enough and not is_too_many, f"{size} of that at the end."


my_layers = None  # an integer
check_layers(my_layers)

# %% [markdown]
# ## Solution
#
# Each layer multiplies the gradient by at most $1/4$, so $n$ layers by at most
# $4^{-n}$, and $4^{-5} = 1/1024$.

# %%
# Solution
solution = 5
mistakes = [4, 6, 10]
check_layers(solution)
