"""HTTP itself: connections, media types, Accept, multipart, content encoding, paths."""
