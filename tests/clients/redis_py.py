"""redis-py as an application uses it, in both protocols: redis_py.py host:port"""

import sys
import time

import redis


def smoke(host, port, protocol):
    client = redis.Redis(host=host, port=int(port), protocol=protocol, decode_responses=True, client_name="smoke")
    assert client.ping() is True
    client.flushdb()

    assert client.set("k", "v") is True
    assert client.get("k") == "v"
    assert client.get("missing") is None
    assert client.set("k", "w", nx=True) is None
    assert client.set("k", "w", get=True, ex=100) == "v"
    assert client.ttl("k") == 100
    assert client.incr("n") == 1
    assert client.decrby("n", 3) == -2
    assert client.mset({"a": 1, "b": 2}) is True
    assert client.mget("a", "missing", "b") == ["1", None, "2"]
    assert client.exists("a", "b", "missing") == 2
    assert client.rename("a", "c") is True
    assert sorted(client.scan_iter(match="[bc]")) == ["b", "c"]
    assert client.delete("b", "c") == 2

    assert client.rpush("l", "x", "y", "z") == 3
    assert client.lrange("l", 0, -1) == ["x", "y", "z"]
    assert client.lpop("l") == "x"
    assert client.rpop("l", 5) == ["z", "y"]
    assert client.lpop("l") is None

    assert client.sadd("s", "x", "y", "x") == 2
    assert set(client.smembers("s")) == {"x", "y"}
    assert client.sismember("s", "x") in (1, True)
    assert client.srem("s", "x") == 1

    assert client.hset("h", mapping={"f": "v", "g": "w"}) == 2
    assert client.hgetall("h") == {"f": "v", "g": "w"}
    assert client.hget("h", "missing") is None
    assert client.hdel("h", "f") == 1

    with client.pipeline(transaction=False) as pipe:
        assert pipe.set("p", 1).incr("p").get("p").execute() == [True, 2, "2"]
    with client.pipeline() as pipe:
        pipe.watch("p")
        value = int(pipe.get("p"))
        pipe.multi()
        pipe.set("p", value + 1)
        assert pipe.execute() == [True]
    with client.pipeline() as pipe:
        pipe.watch("p")
        client.set("p", "changed meanwhile")
        pipe.multi()
        pipe.set("p", 0)
        try:
            pipe.execute()
            raise AssertionError("the watched key has changed")
        except redis.WatchError:
            pass
    try:
        client.incr("s")
        raise AssertionError("a set is no counter")
    except redis.ResponseError as error:
        assert "WRONGTYPE" in str(error), error

    assert client.client_getname() == "smoke"
    assert client.client_id() > 0
    assert any(one["name"] == "smoke" for one in client.client_list())
    info = client.info()
    assert info["redis_version"] and info["redis_mode"] == "standalone", info
    assert client.config_get("maxclients")["maxclients"]
    assert client.command_count() > 40
    assert client.dbsize() > 0

    pubsub = client.pubsub()
    pubsub.subscribe("news")
    pubsub.psubscribe("n*")
    assert [pubsub.get_message(timeout=5)["data"] for _ in range(2)] == [1, 2]
    assert client.publish("news", "hello") == 2
    assert [pubsub.get_message(timeout=5)["type"] for _ in range(2)] == ["message", "pmessage"]
    assert client.pubsub_numsub("news") == [("news", 1)]
    pubsub.close()
    if protocol == 3:
        cached(client, host, port)

    other = redis.Redis(host=host, port=int(port), protocol=protocol, db=1)
    assert other.get("k") is None
    other.set("bytes", b"\x00\xff")
    assert other.get("bytes") == b"\x00\xff"
    other.flushdb()
    client.flushdb()


def cached(writer, host, port):
    """Client-side caching, where this version has it."""
    try:
        from redis.cache import CacheConfig
    except ImportError:
        return
    reader = redis.Redis(host=host, port=int(port), protocol=3, cache_config=CacheConfig(), decode_responses=True)
    for value in ["1", "2", "3"]:
        writer.set("cached", value)
        deadline = time.monotonic() + 5
        while reader.get("cached") != value:
            assert time.monotonic() < deadline, "the copy is stale"
        assert reader.get("cached") == value
    assert reader.get_cache().size == 1
    writer.flushdb()
    deadline = time.monotonic() + 5
    while reader.get("cached") is not None:
        assert time.monotonic() < deadline, "the copy is stale"
    reader.close()


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    for protocol in (2, 3):
        smoke(host, port, protocol)
        print(f"redis-py {redis.__version__}, RESP{protocol}: ok")


main()
