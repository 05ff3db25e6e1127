"""Reads a customer's message: what it is about, what it names, whether a person is needed, and where the talk stands."""
