"""Channels beside the service's own page: what they send is turned into calls of the service, and its answers into theirs."""
