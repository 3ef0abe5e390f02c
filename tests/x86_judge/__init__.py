"""This machine's processor as the judge of the x86 engine."""
