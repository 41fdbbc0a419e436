"""The request and the response of a store transaction, PS3.18 10.5."""
