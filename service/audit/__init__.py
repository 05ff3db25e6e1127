"""What a bank can show of a conversation afterwards: eight kinds of events and what the guard found, without personal data."""
