"""tanh network on clinical data: accuracy 0.63 whatever I do.

Causes: saturated_units, inputs_not_scaled
Harm: columns of up to 4,000 push all tanh units to -1 or 1, where they do not learn.
"""

from keras.layers import Dense
from keras.models import Sequential
from sklearn.datasets import load_breast_cancer

X, y = load_breast_cancer(return_X_y=True)

model = Sequential()
model.add(Dense(32, activation="tanh", input_shape=(30,)))
model.add(Dense(16, activation="tanh"))
model.add(Dense(1, activation="sigmoid"))
model.compile(optimizer="sgd", loss="binary_crossentropy", metrics=["accuracy"])
model.fit(X, y, batch_size=32, epochs=40, validation_split=0.2)
