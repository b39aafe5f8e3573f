"""The demo of `make demo`: real worker processes on embedded SNS, SQS and MongoDB."""
