"""Analytics: facts, reports, lead scores."""
