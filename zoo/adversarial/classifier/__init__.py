"""A Keras model viewed as a classifier, with its head, its logits and data checks."""
