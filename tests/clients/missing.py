"""Prints which of some commands a server does not have: missing.py host:port command ..."""

import sys

import redis

host, port = sys.argv[1].rsplit(":", 1)
found = {name.lower() for name in redis.Redis(host=host, port=int(port)).command()}
print(" ".join(name for name in sys.argv[2:] if name not in found))
