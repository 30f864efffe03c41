"""What every transport must do, by the same tests."""
