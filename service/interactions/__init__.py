"""The customer's interaction history: data types, DynamoDB table and reader."""
