"""Sentiment model with an Embedding is as good as guessing.

Causes: misused_layer, inputs_not_scaled
Harm: word ids were scaled to [0, 1], so the embedding looks up row 0 for all words.
"""

import numpy as np
from keras.layers import Dense, Embedding, GlobalAveragePooling1D
from keras.models import Sequential
from sklearn.preprocessing import MinMaxScaler

rng = np.random.default_rng(3)
words, length = 500, 30
good = rng.choice(words, 60, replace=False)
y = rng.integers(0, 2, 2000)
X = rng.integers(1, words, (2000, length))
for row, label in zip(X, y, strict=True):
    row[rng.choice(length, 6, replace=False)] = rng.choice(
        good[:30] if label else good[30:], 6
    )
X = MinMaxScaler().fit_transform(X)

model = Sequential()
model.add(Embedding(words, 16))
model.add(GlobalAveragePooling1D())
model.add(Dense(16, activation="relu"))
model.add(Dense(1, activation="sigmoid"))
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(X, y, epochs=15, batch_size=32, validation_split=0.2)
