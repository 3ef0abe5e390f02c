"""The host's own processor as the engine of single instructions: a child under ptrace."""
