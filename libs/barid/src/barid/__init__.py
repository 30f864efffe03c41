"""Barid on one machine: the command line, the supervisor, the gateway and the mail sink."""
