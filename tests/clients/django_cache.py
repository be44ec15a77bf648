"""django-redis as an application's cache: django_cache.py host:port"""

import sys

import django
from django.conf import settings

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:6464"
settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"redis://{address}/1",
            "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
        }
    }
)
django.setup()

from django.core.cache import cache  # noqa: E402

cache.clear()
assert cache.get("missing") is None
assert cache.get("missing", "default") == "default"
assert cache.set("k", {"any": ["value", 1, None]}) is True
assert cache.get("k") == {"any": ["value", 1, None]}
assert cache.add("k", "other") is False
assert cache.add("new", "value", timeout=50) is True
assert 0 < cache.ttl("new") <= 50
assert cache.ttl("missing") == 0
assert cache.set("forever", 1, timeout=None) is True
assert cache.ttl("forever") is None
assert cache.touch("forever", 100) is True
assert 90_000 < cache.pttl("forever") <= 100_000
assert cache.persist("forever") is True
assert cache.expire("forever", 10) is True
assert cache.ttl("forever") == 10
assert cache.set("only", 1, nx=True) is True
assert cache.set("only", 2, nx=True) is False

cache.set_many({"a": 1, "b": 2, "c": "x" * 100_000})
assert cache.get_many(["a", "b", "c", "d"]) == {"a": 1, "b": 2, "c": "x" * 100_000}
assert cache.get_or_set("computed", lambda: 42) == 42
assert cache.has_key("computed") and "computed" in cache
assert sorted(cache.keys("[ab]")) == ["a", "b"]
assert sorted(cache.iter_keys("[ab]")) == ["a", "b"]
assert cache.delete("a") in (True, 1)
assert cache.delete("a") in (False, 0)
assert cache.delete_many(["b", "c"]) == 2

cache.set("page:1", 1)
cache.set("page:2", 2)
assert cache.delete_pattern("page:*") == 2
assert cache.keys("page:*") == []

assert cache.set("version", 1, version=2) is True
assert cache.get("version") is None
assert cache.get("version", version=2) == 1
cache.clear()
assert cache.keys("*") == []
print("django-redis: ok")
