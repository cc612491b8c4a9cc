"""Training accuracy 100 %, validation accuracy hardly above a coin flip.

Causes: overfitting
Harm: 150 rows, 400 columns of which ten matter, and a wide network for 120 epochs.
"""

from keras.layers import Dense
from keras.models import Sequential
from sklearn.datasets import make_classification

X, y = make_classification(
    n_samples=200,
    n_features=400,
    n_informative=10,
    n_redundant=0,
    flip_y=0.15,
    random_state=8,
)

model = Sequential()
model.add(Dense(256, activation="relu", input_dim=400))
model.add(Dense(256, activation="relu"))
model.add(Dense(1, activation="sigmoid"))
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(X, y, epochs=120, batch_size=16, validation_split=0.25)
