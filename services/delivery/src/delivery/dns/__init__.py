"""Questions to the DNS, with time-outs, to a resolver that a setting names."""
