"""Plumbing and contracts shared by the services. No rules."""
