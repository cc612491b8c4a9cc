"""All hidden outputs are 0.0. Is that normal for ReLU?

Causes: dead_units, bad_initialization
Harm: a bias of -20 keeps every ReLU at zero, so only the bias of the head is learned.
"""

import keras
from keras import layers
from sklearn.datasets import make_moons

X, y = make_moons(2000, noise=0.2, random_state=0)

bias = keras.initializers.Constant(-20)
model = keras.Sequential()
model.add(layers.Input((2,)))
model.add(layers.Dense(50, activation="relu", bias_initializer=bias))
model.add(layers.Dense(50, activation="relu", bias_initializer=bias))
model.add(layers.Dense(2, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["acc"])
model.fit(X, y, epochs=15, batch_size=32, validation_split=0.2)
