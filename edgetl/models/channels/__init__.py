"""Which channels of a network depend on each other, and how to take some of them out of all the tensors that have them."""
