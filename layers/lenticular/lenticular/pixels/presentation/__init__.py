"""From stored values to what is shown: lookup tables, colours, presentation states; PS3.4 N.2."""
