"""What do the first weights do to a deep network, before anything is learnt?

Builds one multilayer perceptron of 20 hidden layers again and again, with other
initial weights, and writes `initialization.png` to `runs/initialization/`: for ReLU
and for tanh, how far activations spread in each layer, and how far the gradient of the
loss with respect to them does, on one batch of images that nobody has trained on.

    python examples/initialization.py
    python examples/initialization.py --dataset mnist
"""

import argparse
import time
from pathlib import Path

import keras
import matplotlib
import numpy as np

from zoo import datasets, mlp
from zoo.files import replacing, writable_folder

matplotlib.use("Agg")
import matplotlib.pyplot as plt
