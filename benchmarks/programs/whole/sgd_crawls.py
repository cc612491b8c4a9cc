"""Validation accuracy rises by 0.1 % per epoch.

Causes: learning_rate_too_low
Harm: plain SGD with a rate of 1e-5 does not get anywhere in 30 epochs.
"""

import keras
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

X, y = load_wine(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(scale(X), y, random_state=0)

model = keras.Sequential()
model.add(keras.layers.Dense(32, activation="relu", input_shape=(13,)))
model.add(keras.layers.Dense(3, activation="softmax"))
sgd = keras.optimizers.SGD(learning_rate=0.00001)
model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(X_train, y_train, epochs=30, batch_size=8, validation_data=(X_val, y_val))
