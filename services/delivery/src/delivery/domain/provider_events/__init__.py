"""What mail providers tell over HTTP: whose word it is, and what came back of which message. Pure.

Each module has `verified`, which raises Forged, and `returns`, which raises Unreadable.
"""
