"""uprobes on arm64: a backend of uprobes-sim."""
