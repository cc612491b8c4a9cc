"""LSTM loss jumps to 1e20 and then nan. tanh was fine, but slow.

Causes: exploding_gradients, not_finite
Harm: with ReLU, the state of the LSTM grows over 200 steps without limit.
"""

import numpy as np
from keras.layers import LSTM, Dense
from keras.models import Sequential
from keras.optimizers import SGD

rng = np.random.default_rng(0)
t = np.arange(200)
phase = rng.uniform(0, 6.28, (400, 1))
freq = rng.uniform(0.02, 0.2, (400, 1))
X = (1.5 * np.sin(freq * t + phase) + rng.normal(0, 0.1, (400, 200)))[..., None]
y = freq * 10

model = Sequential()
model.add(LSTM(64, activation="relu", input_shape=(200, 1), return_sequences=True))
model.add(LSTM(64, activation="relu"))
model.add(Dense(1))
model.compile(loss="mse", optimizer=SGD(learning_rate=0.1, momentum=0.9))
model.fit(X, y, epochs=6, batch_size=16, validation_split=0.1)
