"""Benches of the hot paths, each beside a floor measured in the same run."""
