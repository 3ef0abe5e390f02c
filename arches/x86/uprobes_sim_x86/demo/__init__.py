"""The demonstration: a program, what builds it, and the probes it runs under."""
