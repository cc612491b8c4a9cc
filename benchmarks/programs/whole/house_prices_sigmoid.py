"""The loss of my house price model is 1e11 and stays there.

Causes: wrong_output_activation, labels_out_of_range
Harm: a sigmoid cannot exceed 1, and the prices are several hundred thousand.
"""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential

np.random.seed(7)
n = 1000
area = np.random.uniform(40, 250, n)
rooms = np.round(area / 30 + np.random.normal(0, 0.7, n))
age = np.random.randint(0, 90, n)
price = 3200 * area + 15000 * rooms - 900 * age + np.random.normal(0, 15000, n)
X = np.column_stack([area, rooms, age])
X = (X - X.mean(axis=0)) / X.std(axis=0)

model = Sequential()
model.add(Dense(32, activation="relu", input_dim=3))
model.add(Dense(16, activation="relu"))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="mse", optimizer="adam", metrics=["mae"])
model.fit(X, price, epochs=50, batch_size=32, validation_split=0.2)
