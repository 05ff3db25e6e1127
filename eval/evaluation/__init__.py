"""One evaluation from start to verdict, and the data card of a dataset."""
