"""Every prompt with every model, and what quality costs in money and time."""
