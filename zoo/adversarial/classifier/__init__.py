"""Tools that interpret a Keras model as a classifier: head, logits and data checks."""
