"""Access control of the one-machine server: who may do what, and from which web pages."""
