"""The loss swings up and down and ends worse than it started.

Causes: unfit_optimizer
Harm: momentum of 0.999 keeps old gradients for a thousand steps.
"""

from keras.layers import Dense, Input
from keras.models import Sequential
from keras.optimizers import SGD
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X = X / 16

model = Sequential([Input((64,))])
model.add(Dense(64, activation="relu"))
model.add(Dense(10, activation="softmax"))
model.compile(
    optimizer=SGD(learning_rate=0.1, momentum=0.999),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(X, y, epochs=12, batch_size=32, validation_split=0.2)
