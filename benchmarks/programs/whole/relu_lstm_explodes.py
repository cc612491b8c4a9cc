"""LSTM loss jumps to 1e20 and then nan. tanh was fine, but slow.

Causes: exploding_gradients, not_finite
Harm: with ReLU, the state of the LSTM grows over 150 steps without limit.
"""

import numpy as np
from keras.layers import LSTM, Dense
from keras.models import Sequential
from keras.optimizers import SGD

rng = np.random.default_rng(0)
t = np.arange(150)
phase = rng.uniform(0, 6.28, (200, 1))
freq = rng.uniform(0.02, 0.2, (200, 1))
X = (1.5 * np.sin(freq * t + phase) + rng.normal(0, 0.1, (200, 150)))[..., None]
y = freq * 10

model = Sequential()
model.add(LSTM(32, activation="relu", input_shape=(150, 1), return_sequences=True))
model.add(LSTM(32, activation="relu"))
model.add(Dense(1))
model.compile(loss="mse", optimizer=SGD(learning_rate=0.1, momentum=0.9))
model.fit(X, y, epochs=3, batch_size=16, validation_split=0.1)
