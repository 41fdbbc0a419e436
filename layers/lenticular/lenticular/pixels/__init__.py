"""From stored pixels to pictures: decode, present, encode."""
