"""Figures of customers, defined once as data: the same in training, in evaluation and when a message is written."""
