"""The public pages and mails, in English, Arabic and Persian: plain HTML, no script, nothing loaded from elsewhere."""
