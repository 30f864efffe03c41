"""Files of contacts going out: what their columns are, and how each format is written."""
