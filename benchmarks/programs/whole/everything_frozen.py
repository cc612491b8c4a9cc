"""Transfer learning: accuracy does not change from epoch to epoch.

Causes: frozen_weights
Harm: `trainable = False` was set on the whole model, including the new head.
"""

import keras
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X = X.reshape(-1, 8, 8, 1) / 16

base = keras.Sequential(
    [
        keras.layers.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Conv2D(32, 3, activation="relu"),
        keras.layers.Flatten(),
    ]
)
model = keras.Sequential([base, keras.layers.Dense(10, activation="softmax")])
model.trainable = False
model.compile(
    optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"]
)
model.fit(X, y, epochs=8, batch_size=64, validation_split=0.2)
