"""What a probe will meet, told beforehand from the file alone."""
