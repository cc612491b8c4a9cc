"""Three kinds of iris, but the network seems to know only one.

Causes: wrong_num_outputs, wrong_output_activation, loss_head_mismatch
Harm: one softmax unit predicts 1 for every flower.
"""

from keras.layers import Dense
from keras.models import Sequential
from sklearn.datasets import load_iris
from sklearn.utils import shuffle

X, y = load_iris(return_X_y=True)
X, y = shuffle(X, y, random_state=0)

model = Sequential(
    [
        Dense(8, activation="relu", input_shape=(4,)),
        Dense(8, activation="relu"),
        Dense(1, activation="softmax"),
    ]
)
model.compile(loss="mean_squared_error", optimizer="adam", metrics=["accuracy"])
model.fit(X, y, epochs=60, batch_size=10, validation_split=0.2)
