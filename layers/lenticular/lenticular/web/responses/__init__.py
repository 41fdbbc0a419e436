"""Responses of this service: ranges, conditions, omissions, and the payload limit."""
