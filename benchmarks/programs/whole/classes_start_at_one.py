"""Received a label value of 3 which is outside the valid range of [0, 3).

Causes: labels_out_of_range, wrong_num_outputs
Harm: training fails, or the loss is NaN, because the classes are 1, 2 and 3.
"""

import pandas as pd
from keras.layers import Dense
from keras.models import Sequential
from sklearn.datasets import load_wine

data = load_wine()
df = pd.DataFrame(data.data, columns=data.feature_names)
df = (df - df.mean()) / df.std()
df["cultivar"] = data.target + 1
df = df.sample(frac=1, random_state=0)

model = Sequential()
model.add(Dense(16, activation="relu", input_dim=13))
model.add(Dense(3, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(
    df.drop(columns="cultivar").values,
    df["cultivar"].values,
    epochs=20,
    batch_size=16,
    validation_split=0.2,
)
