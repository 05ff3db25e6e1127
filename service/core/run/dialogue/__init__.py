"""Conversations: the inputs of one turn, the reply to it, and the base class of tasks that answer with tools."""
