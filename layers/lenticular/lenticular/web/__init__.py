"""The HTTP interface: routes, negotiation, responses, access control."""
