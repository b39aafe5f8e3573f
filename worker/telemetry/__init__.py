"""Logs, metrics, health and the audit line; the only package that imports structlog and datadog."""
