"""My loss is great, but the accuracy is 0.0000e+00.

Causes: unfit_metric
Harm: accuracy counts exact matches, which a regression never has.
"""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from sklearn.datasets import make_regression
from sklearn.preprocessing import StandardScaler

X, y = make_regression(1500, 12, n_informative=8, noise=5, random_state=4)
y = StandardScaler().fit_transform(y[:, np.newaxis])

model = Sequential()
model.add(Dense(64, activation="relu", input_shape=(12,)))
model.add(Dense(1))
model.compile(loss="mse", optimizer="adam", metrics=["accuracy"])
model.fit(X, y, epochs=30, batch_size=32, validation_split=0.2)
