"""The weekly regression report and what it is made of; reads the warehouse only."""
