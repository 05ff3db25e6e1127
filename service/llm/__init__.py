"""The one door to models: gateway, deadlines, prices, and the digest that needs no model."""
