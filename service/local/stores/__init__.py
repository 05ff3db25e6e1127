"""Deploys the data stack's template to the local AWS through CloudFormation."""
