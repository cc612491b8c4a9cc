"""The bigger the batch, the worse my regression. Why?

Causes: unfit_batch_size, too_few_steps
Harm: with all rows in a batch, 25 epochs are 25 steps.
"""

from keras.layers import Dense, Input
from keras.models import Sequential
from sklearn.datasets import make_friedman1
from sklearn.preprocessing import scale

X, y = make_friedman1(4000, noise=0.5, random_state=2)
X, y = scale(X), scale(y)

model = Sequential()
model.add(Input((10,)))
model.add(Dense(64, activation="relu"))
model.add(Dense(64, activation="relu"))
model.add(Dense(1))
model.compile(optimizer="adam", loss="mse", metrics=["mae"])
model.fit(X, y, epochs=25, batch_size=4000, validation_split=0.2)
