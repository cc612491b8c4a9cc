"""One customer in ten leaves; class weights make up for it.

Causes: none
Harm: none.
"""

import keras
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

X, y = make_classification(
    3000, 12, n_informative=6, weights=[0.9], class_sep=1.5, random_state=9
)
X_train, X_val, y_train, y_val = train_test_split(X, y, stratify=y, random_state=9)

model = keras.Sequential()
model.add(keras.layers.Input((12,)))
model.add(keras.layers.Dense(32, activation="relu"))
model.add(keras.layers.Dense(1, activation="sigmoid"))
model.compile("adam", "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")])
model.fit(
    X_train,
    y_train,
    epochs=20,
    batch_size=32,
    validation_data=(X_val, y_val),
    class_weight={0: 0.55, 1: 5.0},
)
