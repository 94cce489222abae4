"""A guest's hardware as people change it: which devices there are, what can be said of each, and what QEMU takes at once."""
