"""The wire contracts: what travels on the bus between services. Plain data, no rules.

Additive change only; a break is a V2 published in parallel (docs/adr/0001).
"""
