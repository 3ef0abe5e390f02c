"""What uprobes do to programs, debuggers and each other: short plays that anyone can repeat.

A scenario makes a claim and says who made it; playing it decides. Its outcome must be what is
known to happen on the kernel that it plays on, and must have its causes in the log.
"""
