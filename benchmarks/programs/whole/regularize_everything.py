"""Loss goes from 300 to 2.3 and accuracy stays at 10 %.

Causes: over_regularized
Harm: an L2 factor of 1 and dropout of 0.8 leave no weights to learn with.
"""

import keras
from keras import layers, regularizers
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X = X / 16

model = keras.Sequential()
model.add(layers.Input(shape=(64,)))
for units in (128, 64):
    model.add(
        layers.Dense(units, activation="relu", kernel_regularizer=regularizers.l2(1.0))
    )
    model.add(layers.Dropout(0.8))
model.add(layers.Dense(10, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(X, y, epochs=20, validation_split=0.2)
