"""The HTTP side every service shares: app, routes with their transaction, identity, problems, pages, filters."""
