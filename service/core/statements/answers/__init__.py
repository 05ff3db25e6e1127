"""What a model's answer must not hold: one reading for the guard that refuses an answer and the scorers that grade it."""
