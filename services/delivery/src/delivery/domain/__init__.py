"""Delivery's rules, pure."""
