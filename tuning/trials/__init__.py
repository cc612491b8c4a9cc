"""Records of the values and outcomes of trials, and files that store the records."""
