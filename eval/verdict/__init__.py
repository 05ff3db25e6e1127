"""From scores to a verdict: metrics, paired differences, and the gate that decides."""
