"""What delivery does, by verb."""
