"""The stores of calls and forms, in DynamoDB and S3, separated by tenant."""
