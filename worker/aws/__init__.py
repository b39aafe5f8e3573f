"""SQS and SNS; the only package that imports aiobotocore and botocore."""
