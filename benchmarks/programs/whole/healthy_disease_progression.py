"""Predicting disease progression; the targets are between 25 and 346.

Causes: none
Harm: none. The noise in the data limits R2 to about 0.5.
"""

from keras.layers import Dense, Input
from keras.models import Sequential
from keras.optimizers import Adam
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

X, y = load_diabetes(return_X_y=True)
X = StandardScaler().fit_transform(X)

model = Sequential([Input((10,))])
model.add(Dense(16, activation="relu"))
model.add(Dense(1))
model.compile(optimizer=Adam(0.02), loss="mse", metrics=["mae"])
model.fit(X, y, epochs=40, batch_size=16, validation_split=0.2)
