"""Mail content: compiled once per campaign, filled per recipient. Pure, so that a preview is the mail."""
