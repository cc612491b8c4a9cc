"""Constants of float32 numbers, whose signs and exponents `count_exponents` counts."""

NUM_EXPONENTS = 256
BIAS = 127
NUM_BINS = 2 * NUM_EXPONENTS  # positive numbers first
