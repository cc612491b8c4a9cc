"""The LSTM predicts a flat line for the price.

Causes: inputs_not_scaled, labels_out_of_range
Harm: prices of about 4,000 saturate the LSTM, and the head cannot reach them in time.
"""

import numpy as np
from keras.layers import LSTM, Dense
from keras.models import Sequential

rng = np.random.default_rng(42)
price = 4000 + np.cumsum(rng.normal(0.5, 20, 900))
window = 20
X = np.array([price[i : i + window] for i in range(len(price) - window)])[..., None]
y = price[window:]
split = int(0.8 * len(X))

model = Sequential()
model.add(LSTM(50, input_shape=(window, 1)))
model.add(Dense(1))
model.compile(optimizer="adam", loss="mean_squared_error")
model.fit(
    X[:split],
    y[:split],
    epochs=20,
    batch_size=32,
    validation_data=(X[split:], y[split:]),
)
