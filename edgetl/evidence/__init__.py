"""How good, how sure, how equal: pure functions on probabilities and labels, with numpy alone."""
