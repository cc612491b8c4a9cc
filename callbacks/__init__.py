"""What is passed to `model.fit(callbacks=[...])`."""
