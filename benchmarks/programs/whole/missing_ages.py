"""loss: nan - val_loss: nan, whatever learning rate I take.

Causes: not_finite, data_bug
Harm: some ages are missing, and one NaN makes all weights NaN.
"""

import numpy as np
import pandas as pd
from keras.layers import Dense
from keras.models import Sequential

np.random.seed(5)
n = 800
df = pd.DataFrame(
    {
        "age": np.random.normal(35, 12, n),
        "fare": np.random.gamma(2, 15, n),
        "pclass": np.random.randint(1, 4, n),
    }
)
df["survived"] = (0.04 * df.fare - df.pclass + np.random.normal(0, 1, n) > -0.8) * 1
df.loc[np.random.choice(n, 40), "age"] = np.nan
X = df.drop(columns="survived")
X = ((X - X.mean()) / X.std()).to_numpy()
y = df["survived"].to_numpy()

model = Sequential()
model.add(Dense(24, activation="relu", input_dim=3))
model.add(Dense(1, activation="sigmoid"))
model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
model.fit(X, y, epochs=20, batch_size=32, validation_split=0.2)
