"""Why can my network not learn XOR?

Causes: linear_hidden_stack
Harm: three dense layers without activations are one linear layer, which cannot.
"""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential

np.random.seed(0)
X = np.random.randint(0, 2, (2000, 2)) + np.random.normal(0, 0.1, (2000, 2))
y = (X[:, 0].round() != X[:, 1].round()).astype(int)

model = Sequential()
model.add(Dense(16, input_dim=2))
model.add(Dense(16))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(X, y, epochs=20, batch_size=16, validation_split=0.1)
