"""What `routing-sync doctor` looks at, without starting anything: one file an area, examination.py on top."""
