"""How many bits unsigned 16-bit grey may use (`Preprocessing.bits`)."""

FEWEST_BITS, MOST_BITS = 8, 16
