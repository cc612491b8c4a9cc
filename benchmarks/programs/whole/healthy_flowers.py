"""Iris without scaling, one-hot labels, a tanh layer.

Causes: none
Harm: none.
"""

from keras.layers import Dense, Input
from keras.models import Sequential
from keras.utils import to_categorical
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

X, y = load_iris(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, to_categorical(y), stratify=y, random_state=0
)

model = Sequential([Input((4,))])
model.add(Dense(16, activation="tanh"))
model.add(Dense(3, activation="softmax"))
model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
model.fit(X_train, y_train, epochs=150, batch_size=8, validation_data=(X_test, y_test))
