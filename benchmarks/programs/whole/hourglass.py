"""I wanted to force a compact representation. Accuracy is stuck at 40 %.

Causes: underfitting
Harm: a layer of one unit passes a single number on, too little for ten digits.
"""

from keras.layers import Dense, Input
from keras.models import Sequential
from keras.utils import to_categorical
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X, y = X / 16, to_categorical(y)

model = Sequential([Input((64,))])
model.add(Dense(128, activation="relu"))
model.add(Dense(1, activation="sigmoid"))
model.add(Dense(128, activation="relu"))
model.add(Dense(10, activation="softmax"))
model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
model.fit(X, y, epochs=20, batch_size=32, validation_split=0.2)
