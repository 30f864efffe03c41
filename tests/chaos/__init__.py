"""Faults against real processes, and a checker that shares no code with what it checks."""
