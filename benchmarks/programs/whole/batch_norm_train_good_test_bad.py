"""Training accuracy 99 %, but model.evaluate on the same data gives 15 %.

Causes: train_and_inference_differ, misused_layer
Harm: the moving averages of batch normalization have not moved away from 0 and 1.
"""

import keras
from keras import layers
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.BatchNormalization(momentum=0.9999),
        layers.Dense(64),
        layers.BatchNormalization(momentum=0.9999),
        layers.Activation("relu"),
        layers.Dense(64),
        layers.BatchNormalization(momentum=0.9999),
        layers.Activation("relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(X, y, epochs=8, batch_size=64, validation_split=0.2)
