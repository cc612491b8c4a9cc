"""Probabilities of one sample do not add up to one.

Causes: misused_layer, wrong_output_activation
Harm: `axis=0` normalizes over the samples of the batch instead of the classes.
"""

import keras
from keras import layers
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from sklearn.utils import shuffle

X, y = load_wine(return_X_y=True)
X, y = shuffle(StandardScaler().fit_transform(X), y, random_state=0)

inputs = keras.Input((13,))
x = layers.Dense(32, activation="relu")(inputs)
x = layers.Dense(3)(x)
outputs = layers.Softmax(axis=0)(x)
model = keras.Model(inputs, outputs)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(X, y, epochs=60, batch_size=16, validation_split=0.25)
