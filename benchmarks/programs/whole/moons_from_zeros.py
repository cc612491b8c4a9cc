"""I set all weights to zero for reproducibility, now nothing happens.

Causes: symmetric_units, bad_initialization
Harm: all units of a layer stay equal, and a ReLU layer of zeros gets no gradient.
"""

import keras
from sklearn.datasets import make_moons

X, y = make_moons(1500, noise=0.15, random_state=3)

zeros = keras.initializers.Zeros()
model = keras.Sequential()
model.add(keras.layers.Input((2,)))
model.add(keras.layers.Dense(32, activation="relu", kernel_initializer=zeros))
model.add(keras.layers.Dense(32, activation="relu", kernel_initializer=zeros))
model.add(keras.layers.Dense(1, activation="sigmoid", kernel_initializer=zeros))
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(X, y, epochs=25, batch_size=32, validation_split=0.2)
