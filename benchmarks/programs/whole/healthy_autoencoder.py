"""Compressing digits to eight numbers.

Causes: none
Harm: none.
"""

import keras
from sklearn.datasets import load_digits

X = load_digits().data / 16.0

inputs = keras.Input((64,))
code = keras.layers.Dense(8, activation="relu")(
    keras.layers.Dense(48, activation="relu")(inputs)
)
outputs = keras.layers.Dense(64, activation="sigmoid")(
    keras.layers.Dense(48, activation="relu")(code)
)
model = keras.Model(inputs, outputs)
model.compile(optimizer="adam", loss="binary_crossentropy")
model.fit(X, X, epochs=60, batch_size=32, validation_split=0.2)
