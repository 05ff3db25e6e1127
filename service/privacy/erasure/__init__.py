"""Finds everything that is kept about one customer, in every place where the service keeps customers; exports and deletes it.

``places.yaml`` is the inventory of these places.
"""
