"""What analytics keeps of one person, for them to read (common.personal_data).

Of the facts, those with an address on the web: the others are the events that contacts and delivery tell of.
"""

STATEMENTS = {
    "leads": """
select to_jsonb(t) - 'workspace_id' - 'revision' from person join leads t using (workspace_id, contact_id)""",
    "consents": """
select to_jsonb(t) - 'workspace_id' - 'revision'
  from person join consents t using (workspace_id, contact_id) order by t.at""",
    "segment_moves": """
select to_jsonb(t) - 'workspace_id' - 'revision'
  from person join segment_moves t using (workspace_id, contact_id) order by t.at""",
    "facts": """
select jsonb_strip_nulls(to_jsonb(t) - 'workspace_id' - 'day')
  from person join facts t using (workspace_id, contact_id) where t.url is not null order by t.at""",
    "conversions": """
select to_jsonb(t) - 'workspace_id' - 'revision'
  from person join conversions t using (workspace_id, contact_id) order by t.occurred_at""",
    "lead_scores": """
select to_jsonb(t) - 'workspace_id' - 'revision' from person join lead_scores t using (workspace_id, contact_id)""",
    "score_events": """
select to_jsonb(t) - 'workspace_id' from person join score_events t using (workspace_id, contact_id) order by t.at""",
}
