"""What is released and what it is asked: pairs and their files, model cards, questions, interactions."""
