"""The model of the store protocol and the world that it runs in."""
