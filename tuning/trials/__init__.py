"""Records of trials: their values, their outcomes, and the files that store them."""
