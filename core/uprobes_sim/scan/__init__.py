"""Whole files at once: the kernel's answer to a probe on every instruction that they have."""
