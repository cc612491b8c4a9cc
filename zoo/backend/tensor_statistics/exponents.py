"""The sign and the exponent of a float32, by which `count_exponents` counts."""

NUM_EXPONENTS = 256
BIAS = 127
NUM_BINS = 2 * NUM_EXPONENTS  # positive numbers first
