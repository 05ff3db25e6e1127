"""The floor of ``summarize``: learning the extractive digest's weights, and measuring it against simpler digests."""
