"""How much traffic a deployment carries and what it costs, from measured figures: `omni capacity` writes docs/capacity.md."""
