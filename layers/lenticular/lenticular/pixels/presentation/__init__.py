"""From stored values to pictures: lookup tables, colours, presentation states; PS3.4 N.2."""
