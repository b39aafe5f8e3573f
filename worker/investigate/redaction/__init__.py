"""Personal data out of captured values: stand-ins for it, and the list of what stays."""
