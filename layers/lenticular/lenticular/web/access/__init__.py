"""Access control of the one-machine server: users, tokens, guessing, and other web pages."""
