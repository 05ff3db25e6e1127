"""Trains and measures what tells an intent from a message's meaning."""
