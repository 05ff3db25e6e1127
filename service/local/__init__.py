"""Local stand-ins for AWS and Bedrock, with sample data, so that the service runs without a cloud account."""
