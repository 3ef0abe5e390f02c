"""Binary floating point of the Power ISA, on bit patterns: exact results and exact FPSCR."""
