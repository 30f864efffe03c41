"""The SMTP side: one dialogue at a time per connection, with its phase always known."""
