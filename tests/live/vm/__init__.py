"""Another release, asked in a virtual machine."""
