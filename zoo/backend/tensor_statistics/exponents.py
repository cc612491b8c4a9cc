"""Constants for the bins of `count_exponents`: sign and exponent of a float32."""

NUM_EXPONENTS = 256
BIAS = 127
NUM_BINS = 2 * NUM_EXPONENTS  # positive numbers first
