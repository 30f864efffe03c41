"""What campaigns keeps of one person, for them to read (common.personal_data)."""

STATEMENTS = {
    "leads": "select l.data from person p join leads l using (workspace_id, contact_id) where l.data is not null",
}
