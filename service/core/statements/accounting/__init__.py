"""Accounts for each sentence of a text by its source, strictly, or says that nothing does."""
