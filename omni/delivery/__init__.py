"""Delivers reports: by e-mail, to a chat, into a folder or bucket; once each, again after a failure, and shown."""
