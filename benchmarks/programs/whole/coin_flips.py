"""Predicting tomorrow's direction from the last ten returns: 50 %.

Causes: not_learning, labels_independent_of_inputs
Harm: the returns of a random walk contain nothing about the next one.
"""

import numpy as np
from keras.layers import LSTM, Dense
from keras.models import Sequential

rng = np.random.default_rng(12)
returns = rng.normal(0, 1, 1510)
X = np.array([returns[i : i + 10] for i in range(1500)])[..., np.newaxis]
y = (returns[10:] > 0).astype(int)

model = Sequential()
model.add(LSTM(32, input_shape=(10, 1)))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(X, y, epochs=15, batch_size=32, validation_split=0.2)
