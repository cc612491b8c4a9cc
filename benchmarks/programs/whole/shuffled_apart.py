"""Training accuracy is at chance, but the same data works in scikit-learn.

Causes: labels_independent_of_inputs
Harm: the inputs are shuffled, and the labels are not.
"""

import numpy as np
from keras.layers import Dense, Input
from keras.models import Sequential
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X = X / 16
np.random.seed(1)
np.random.shuffle(X)

model = Sequential()
model.add(Input((64,)))
model.add(Dense(32, activation="relu"))
model.add(Dense(32, activation="relu"))
model.add(Dense(10, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(X, y, epochs=12, batch_size=32, validation_split=0.2)
