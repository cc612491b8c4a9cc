"""Constants for `count_exponents`: one bin per combination of sign and exponent."""

NUM_EXPONENTS = 256
BIAS = 127
NUM_BINS = 2 * NUM_EXPONENTS  # positive numbers first
