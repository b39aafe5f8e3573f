"""The long-running process and every adapter: SQS, SNS, MongoDB, metrics, logs, health and the command line."""
