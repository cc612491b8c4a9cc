"""Loss is nan / accuracy 10 % from the first epoch.

Causes: inputs_not_scaled, learning_rate_too_high
Harm: pixels from 0 to 255 and a rate of 0.5 make the first steps explode.
"""

import numpy as np
from keras import Sequential, layers, optimizers
from sklearn.datasets import load_digits

digits = load_digits()
images = np.round(digits.images * 255 / 16)
X_train, X_test = images[:1400], images[1400:]
y_train, y_test = digits.target[:1400], digits.target[1400:]

model = Sequential()
model.add(layers.Input(shape=(8, 8)))
model.add(layers.Flatten())
model.add(layers.Dense(256, activation="relu"))
model.add(layers.Dense(128, activation="relu"))
model.add(layers.Dense(10, activation="softmax"))
model.compile(
    optimizer=optimizers.SGD(learning_rate=0.5),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(X_train, y_train, validation_data=(X_test, y_test), epochs=10)
