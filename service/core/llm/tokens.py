"""Estimates the number of tokens of a text without a model's tokenizer."""

CHARS_PER_TOKEN = 4


def estimated_tokens(text: str) -> int:
    """Estimate the tokens of ``text``: one per four ASCII characters and one per other character.

    English notes have about 4 characters per token. For other scripts the estimate is too high rather than too low.
    """
    ascii_chars = sum(map(str.isascii, text)) if not text.isascii() else len(text)
    return -(-ascii_chars // CHARS_PER_TOKEN) + len(text) - ascii_chars
