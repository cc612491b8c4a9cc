"""Some digits are never predicted.

Causes: wrong_output_activation, loss_head_mismatch
Harm: the loss takes ReLU outputs for probabilities, and a dead output stays at 0.
"""

import keras
from keras import layers
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="relu"),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(0.01),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(X, y, epochs=15, validation_split=0.25)
