"""A Keras model viewed as a classifier: its head, its logits and checks of its data."""
