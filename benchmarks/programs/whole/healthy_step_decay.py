"""SGD with momentum, batch normalization and a rate that is divided by ten.

Causes: none
Harm: none.
"""

import keras
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X = X / 16.0

model = keras.Sequential([keras.layers.Input((64,))])
for _ in range(2):
    model.add(keras.layers.Dense(64, use_bias=False))
    model.add(keras.layers.BatchNormalization())
    model.add(keras.layers.Activation("relu"))
model.add(keras.layers.Dense(10))
model.compile(
    optimizer=keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)


def step(epoch, rate):
    return rate * 0.1 if epoch in (12, 18) else rate


model.fit(
    X,
    y,
    epochs=22,
    batch_size=32,
    validation_split=0.2,
    callbacks=[keras.callbacks.LearningRateScheduler(step)],
)
