"""The command `verify`: prove from outside that a deployment works and is closed to strangers."""
