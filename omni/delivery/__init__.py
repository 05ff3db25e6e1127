"""Delivers reports: by e-mail, to a chat, or into a folder; once each, again after a failure, and shown."""
