"""val_acc is 0.0000 in every epoch, train acc is 1.0.

Causes: data_bug
Harm: the rows are sorted by class, so the validation split has only unseen classes.
"""

import keras
import numpy as np
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
order = np.argsort(y, kind="stable")
X, y = X[order] / 16.0, y[order]

model = keras.models.Sequential()
model.add(keras.layers.Dense(64, activation="relu", input_shape=(64,)))
model.add(keras.layers.Dense(10, activation="softmax"))
model.compile(
    loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"]
)
model.fit(X, y, batch_size=32, epochs=15, validation_split=0.2, shuffle=False)
