"""The next value of a noisy sine.

Causes: none
Harm: none.
"""

import numpy as np
from keras.layers import LSTM, Dense, Input
from keras.models import Sequential

rng = np.random.default_rng(1)
series = np.sin(np.arange(1200) * 0.3) + rng.normal(0, 0.1, 1200)
window = 24
X = np.stack([series[i : i + window] for i in range(len(series) - window)])
X, y = X[..., np.newaxis], series[window:]

model = Sequential([Input((window, 1))])
model.add(LSTM(32))
model.add(Dense(1))
model.compile(optimizer="adam", loss="mse")
model.fit(X, y, epochs=15, batch_size=32, validation_split=0.2)
