"""The nouns that everything else is about: conversation, message, channel, customer, tenant."""
