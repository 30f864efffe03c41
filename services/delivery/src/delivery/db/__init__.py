"""Delivery's SQL, by noun."""
