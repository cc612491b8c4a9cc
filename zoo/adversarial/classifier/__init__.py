"""A Keras model as a classifier: its head, its logits, and checks of its data."""
