"""My tagger never predicts more than one tag per text.

Causes: wrong_output_activation, loss_head_mismatch
Harm: the outputs of a softmax compete, but several tags can apply.
"""

from keras.layers import Dense, Dropout, Input
from keras.models import Sequential
from sklearn.datasets import make_multilabel_classification

X, y = make_multilabel_classification(
    2500, n_features=40, n_classes=6, n_labels=3, random_state=6
)
X = X / X.max()

model = Sequential()
model.add(Input(shape=(40,)))
model.add(Dense(64, activation="relu"))
model.add(Dropout(0.2))
model.add(Dense(6, activation="softmax"))
model.compile(
    loss="categorical_crossentropy", optimizer="adam", metrics=["binary_accuracy"]
)
model.fit(X, y, epochs=25, batch_size=32, validation_split=0.2)
