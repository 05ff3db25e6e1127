"""What is kept of calls and forms, in DynamoDB and S3, each tenant behind a wall."""
