"""Conversation cases as test cases of Amazon Connect, which plays them against the flows and the bot of an account."""
