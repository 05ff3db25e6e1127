"""Estimates how many tokens a text takes, without asking a model's tokenizer."""

CHARS_PER_TOKEN = 4


def estimated_tokens(text: str) -> int:
    """Estimate tokens: four ASCII characters make one, every other character is one; no model's tokenizer is asked.

    English notes have about 4 characters per token; other scripts have fewer, and there the estimate errs upwards.
    """
    ascii_chars = sum(map(str.isascii, text)) if not text.isascii() else len(text)
    return -(-ascii_chars // CHARS_PER_TOKEN) + len(text) - ascii_chars
