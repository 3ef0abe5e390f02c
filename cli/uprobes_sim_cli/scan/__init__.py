"""`uprobes-sim scan`: one module for what it does, one for each format."""
