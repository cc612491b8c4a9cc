"""Records of trials, with values and outcomes, and the files that store the records."""
