"""Between bytes and samples: decode, compress and encode frames."""
