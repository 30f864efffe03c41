"""What delivery does with events. Every handler takes batches, and commutes with every other."""
