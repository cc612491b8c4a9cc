"""Benign or malignant, one sigmoid unit, early stopping.

Causes: none
Harm: none.
"""

from keras.callbacks import EarlyStopping
from keras.layers import Dense, Dropout, Input
from keras.models import Sequential
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=2)
scaler = MinMaxScaler()
X_train = scaler.fit_transform(X_train)
X_test = scaler.transform(X_test)

model = Sequential([Input((30,))])
model.add(Dense(30, activation="relu"))
model.add(Dropout(0.5))
model.add(Dense(15, activation="relu"))
model.add(Dropout(0.5))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
stop = EarlyStopping(monitor="val_loss", patience=15)
model.fit(
    X_train,
    y_train,
    epochs=120,
    batch_size=32,
    validation_data=(X_test, y_test),
    callbacks=[stop],
)
