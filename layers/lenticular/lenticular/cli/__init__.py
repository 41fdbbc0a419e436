"""Commands that keep files and index in step, and that verify an installation."""
