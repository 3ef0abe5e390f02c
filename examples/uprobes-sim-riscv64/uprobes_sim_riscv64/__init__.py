"""uprobes on riscv64: a backend of uprobes-sim."""
