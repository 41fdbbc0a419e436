"""HTTP itself: media types, multipart, ranges, encodings and the payload limit."""
