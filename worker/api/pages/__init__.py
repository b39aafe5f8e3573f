"""The status page and a pair's page: server-rendered, live by server-sent events, without a network."""
