"""My CNN gives the same output for every image.

Causes: learning_rate_too_high
Harm: the first steps of Adam with a rate of 1.0 destroy the filters.
"""

import keras
from keras import layers
from sklearn.datasets import load_digits

digits = load_digits()
X = digits.images[..., None] / 16.0
y = keras.utils.to_categorical(digits.target)

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=1.0),
    loss="categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(X, y, epochs=10, batch_size=64, validation_split=0.2)
