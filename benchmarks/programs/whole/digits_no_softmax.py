"""Accuracy of handwritten digits does not get near 90 %.

Causes: loss_head_mismatch
Harm: the loss takes the linear outputs for probabilities and clips them.
"""

import keras
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X = X / 16.0

model = keras.Sequential(
    [
        keras.layers.Input((64,)),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10),
    ]
)
model.compile(
    optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"]
)
model.fit(X, y, epochs=20, batch_size=32, validation_split=0.2)
