"""What delivery keeps of one person, for them to read (common.personal_data)."""

_MESSAGES = """
  select m.* from person p join messages m on m.workspace_id = p.workspace_id and m.contact_id = p.contact_id
   where m.kind = 'campaign'
  union all
  select m.* from person p join messages m on m.workspace_id = p.workspace_id and m.contact_id = p.contact_id
   where m.kind <> 'campaign'
  union all
  select m.* from person p join messages m on m.workspace_id = p.workspace_id and m.address_hash = any(p.hashes)
   where m.kind <> 'campaign' and m.contact_id is null
"""

STATEMENTS = {
    "messages": f"""
select jsonb_strip_nulls(jsonb_build_object('message_id', m.id, 'kind', m.kind, 'campaign_id', m.mailing_id,
  'email', m.email, 'language', m.language, 'timezone', m.timezone, 'country', m.country, 'tracking', m.tracking,
  'fields', m.fields, 'variant_id', m.variant_id, 'status', m.status, 'reason', nullif(m.class, ''),
  'attempts', m.attempt, 'sent_at', m.sent_at, 'smtp_code', m.smtp_code, 'smtp_text', m.smtp_text,
  'history', m.history, 'at', m.at)) from ({_MESSAGES}) m order by m.id""",  # noqa: S608
    "returns": f"""
select jsonb_strip_nulls(jsonb_build_object('message_id', r.message_id, 'kind', r.kind, 'reason', r.reason,
  'status', r.status, 'reply', r.reply, 'at', r.at))
  from ({_MESSAGES}) m join returns r on r.workspace_id = m.workspace_id and r.message_id = m.id order by r.at""",  # noqa: S608
    "blocks": """
select jsonb_build_object('reason', coalesce(b.own_reason, b.told_reason))
  from person p join blocks b on b.workspace_id = p.workspace_id and b.scope = 'address' and b.subject = any(p.hashes)
 where b.own_id is not null or b.told_blocked""",
    "strikes": """
select jsonb_build_object('class', s.class, 'campaign_id', s.mailing_id, 'at', s.at)
  from person p join strikes s on s.workspace_id = p.workspace_id and s.address_hash = any(p.hashes)""",
}
