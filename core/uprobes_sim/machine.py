"""One simulated computer."""
