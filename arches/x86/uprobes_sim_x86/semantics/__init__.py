"""What instructions do that Unicorn lacks or gets wrong: those that programs use most."""
