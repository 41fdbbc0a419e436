"""Attribute matching, PS3.4 C.2.2.2: search keys and the values that they are compared with."""
