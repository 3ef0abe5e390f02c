"""The demonstration: a program, and the probes it runs under."""
