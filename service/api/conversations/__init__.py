"""Conversations over HTTP: their operations, and the page in which a customer talks to an assistant."""
