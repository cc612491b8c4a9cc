"""Constants for `count_exponents`, which has one bin for each sign and exponent."""

NUM_EXPONENTS = 256
BIAS = 127
NUM_BINS = 2 * NUM_EXPONENTS  # positive numbers first
