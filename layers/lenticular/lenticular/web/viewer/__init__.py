"""The viewer at /ohif/: its pages and its files."""
