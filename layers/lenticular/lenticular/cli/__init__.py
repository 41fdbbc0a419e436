"""Commands that keep files and index in step."""
