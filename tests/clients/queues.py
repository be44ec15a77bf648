"""The traffic of well-known queues, as far as it needs no scripts, with several workers: queues.py host:port

Every job is done exactly once. After each kind of traffic the server holds nothing of it but what is meant to stay.
"""

import json
import os
import sys
import threading
import time
import uuid

import redis

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:6464"
host, port = address.rsplit(":", 1)
JOBS = 300
WORKERS = 6

timer = threading.Timer(120, lambda: os._exit(3))
timer.daemon = True
timer.start()


def connect(**options):
    return redis.Redis(host=host, port=int(port), decode_responses=True, **options)


class Done:
    """What was done, by whom, and how often."""

    def __init__(self, expected):
        self.lock, self.times, self.all = threading.Lock(), {}, threading.Event()
        self.expected = expected

    def add(self, job):
        with self.lock:
            self.times[job] = self.times.get(job, 0) + 1
            if len(self.times) == self.expected:
                self.all.set()

    def check(self):
        assert self.all.wait(60), f"{len(self.times)} of {self.expected} jobs were done"
        time.sleep(0.2)
        again = {job: times for job, times in self.times.items() if times != 1}
        assert not again, f"done more than once: {again}"


def run(*work):
    """Runs functions at the same time, and raises what one of them raises."""
    errors = []

    def guarded(function):
        try:
            function()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def like_rq():
    """Job hashes, lists of IDs, registries, heartbeats, and jobs that are moved with WATCH."""
    done, names = Done(JOBS), ["rq:queue:high", "rq:queue:default", "rq:queue:low"]
    over = threading.Event()

    def enqueue(first):
        connection = connect()
        for number in range(first, JOBS, 2):
            job = f"rq:job:{number}"
            with connection.pipeline() as pipe:
                pipe.sadd("rq:queues", names[number % 3])
                pipe.hset(job, mapping={"status": "queued", "data": json.dumps(number), "origin": names[number % 3]})
                pipe.expire(job, 500)
                pipe.rpush(names[number % 3], job)
                pipe.execute()

    def work(number):
        connection, name = connect(), f"rq:worker:{number}"
        intermediate = name + ":intermediate"
        connection.hset(name, mapping={"birth": time.time(), "state": "idle"})
        connection.sadd("rq:workers", name)
        turn = 0
        while not over.is_set():
            turn += 1
            # One queue at a time with a list of its own; all of them without.
            if number % 2:
                job = connection.blmove(names[turn % 3], intermediate, 0.05, "LEFT", "RIGHT")
            else:
                popped = connection.blpop(names, 0.2)
                job = popped and popped[1]
            if job is None:
                continue
            with connection.pipeline() as pipe:
                pipe.hset(name, mapping={"state": "busy", "current_job": job, "last_heartbeat": time.time()})
                pipe.expire(name, 420)
                pipe.zadd("rq:wip", {job: time.time() + 60})
                pipe.hset(job, "status", "started")
                pipe.lrem(intermediate, 1, job)
                pipe.execute()
            done.add(json.loads(connection.hget(job, "data")))
            while True:
                with connection.pipeline() as pipe:
                    try:
                        pipe.watch(job)
                        assert pipe.hget(job, "status") == "started"
                        pipe.multi()
                        pipe.hset(job, "status", "finished")
                        pipe.zrem("rq:wip", job)
                        pipe.zadd("rq:finished", {job: time.time() + 500})
                        pipe.hincrby(name, "successful_job_count", 1)
                        assert pipe.execute()[1] == 1
                        break
                    except redis.WatchError:
                        continue
        connection.srem("rq:workers", name)

    def disturb():
        # Heartbeats of jobs make the workers' WATCH fail now and then.
        connection = connect()
        while not over.is_set():
            for job in connection.zrange("rq:wip", 0, -1):
                connection.hset(job, "last_heartbeat", time.time())

    def command():
        with connect().pubsub() as pubsub:
            pubsub.subscribe("rq:pubsub:all")
            for message in pubsub.listen():
                if message["type"] == "message" and json.loads(message["data"])["command"] == "shutdown":
                    over.set()
                    return

    def finish():
        connection = connect()
        try:
            done.check()
        finally:
            while connection.publish("rq:pubsub:all", json.dumps({"command": "shutdown"})) == 0:
                time.sleep(0.01)

    run(lambda: enqueue(0), lambda: enqueue(1), disturb, command, finish, *(lambda n=n: work(n) for n in range(WORKERS)))
    connection = connect()
    assert connection.zcard("rq:finished") == JOBS and connection.zcard("rq:wip") == 0
    counts = [int(connection.hget(f"rq:worker:{n}", "successful_job_count") or 0) for n in range(WORKERS)]
    assert sum(counts) == JOBS, counts
    assert connection.exists(*names, *(f"rq:worker:{n}:intermediate" for n in range(WORKERS))) == 0


def like_celery():
    """Lists by priority, what is not acknowledged in a hash and a sorted set, workers that die, and fanout."""
    done, over = Done(JOBS), threading.Event()
    steps = [f"celery\x06\x16{priority}" if priority else "celery" for priority in (0, 3, 6, 9)]
    heard = [[] for _ in range(WORKERS)]
    ready = threading.Barrier(WORKERS + 1)

    def produce():
        connection = connect()
        ready.wait()
        for number in range(JOBS):
            message = {"body": number, "properties": {"delivery_tag": str(uuid.uuid4())}}
            connection.lpush(steps[number % 4], json.dumps(message))
            if number % 10 == 0:
                assert connection.publish("/0.celeryev/worker.heartbeat", number) == WORKERS

    def work(number):
        connection, pubsub = connect(), connect().pubsub()
        pubsub.psubscribe("/0.celeryev/*")
        while pubsub.get_message(timeout=5)["type"] != "psubscribe":
            pass
        ready.wait()
        turn = 0
        while not over.is_set():
            while (message := pubsub.get_message()) is not None:
                heard[number].append(int(message["data"]))
            popped = connection.brpop(steps, 0.1)
            if popped is None:
                restore(connection)
                continue
            key, text = popped
            message = json.loads(text)
            tag = message["properties"]["delivery_tag"]
            with connection.pipeline() as pipe:
                pipe.zadd("unacked_index", {tag: time.time()})
                pipe.hset("unacked", tag, json.dumps([message, key]))
                pipe.execute()
            turn += 1
            if turn % 10 == 5:
                # It dies, and comes back as somebody else.
                connection.close()
                connection = connect()
                continue
            with connection.pipeline() as pipe:
                pipe.zrem("unacked_index", tag)
                pipe.hdel("unacked", tag)
                removed = pipe.execute()
            # Whoever took too long finds that others have it.
            if removed == [1, 1]:
                done.add(message["body"])

    def restore(connection):
        """Puts back what nobody has acknowledged for long; one worker at a time."""
        if not connection.set("unacked_mutex", "1", nx=True, px=300):
            return
        for tag in connection.zrangebyscore("unacked_index", 0, time.time() - 0.3, start=0, num=10):
            with connection.pipeline() as pipe:
                try:
                    pipe.watch("unacked")
                    text = pipe.hget("unacked", tag)
                    if text is None:
                        continue
                    message, key = json.loads(text)
                    pipe.multi()
                    pipe.zrem("unacked_index", tag)
                    pipe.hdel("unacked", tag)
                    pipe.rpush(key, json.dumps(message))
                    pipe.execute()
                except redis.WatchError:
                    continue

    def finish():
        try:
            done.check()
        finally:
            over.set()

    run(produce, finish, *(lambda n=n: work(n) for n in range(WORKERS)))
    connection = connect()
    for numbers in heard:
        assert numbers == list(range(0, JOBS, 10)), numbers
    assert connection.exists(*steps, "unacked", "unacked_index") == 0


def like_bullmq():
    """wait and active as lists, a marker in a sorted set that wakes a worker, jobs with a delay, events in a stream."""
    done, over = Done(JOBS), threading.Event()
    wait, active, marker, delayed, events = (f"bull:q:{it}" for it in ("wait", "active", "marker", "delayed", "events"))
    seen = []

    def add():
        connection = connect()
        for number in range(JOBS):
            with connection.pipeline() as pipe:
                pipe.hset(f"bull:q:{number}", mapping={"data": number, "attempts": 0})
                if number % 5 == 0:
                    due = int(time.time() * 1000) + number % 7 * 50
                    pipe.zadd(delayed, {number: due})
                    pipe.zadd(marker, {"1": due}, lt=True)
                else:
                    pipe.lpush(wait, number)
                    pipe.zadd(marker, {"0": 0})
                pipe.xadd(events, {"event": "waiting", "jobId": number}, maxlen=10000, approximate=True)
                pipe.execute()

    def promote(connection):
        now = int(time.time() * 1000)
        for number in connection.zrangebyscore(delayed, 0, now, start=0, num=10):
            # Whoever removes it has it.
            with connection.pipeline() as pipe:
                try:
                    pipe.watch(delayed)
                    if pipe.zscore(delayed, number) is None:
                        continue
                    pipe.multi()
                    pipe.zrem(delayed, number)
                    pipe.lpush(wait, number)
                    pipe.zadd(marker, {"0": 0})
                    pipe.execute()
                except redis.WatchError:
                    continue
        first = connection.zrange(delayed, 0, 0, withscores=True)
        if first:
            connection.zadd(marker, {"1": first[0][1]})

    def work():
        connection = connect()
        while not over.is_set():
            promote(connection)
            number = connection.lmove(wait, active, "RIGHT", "LEFT")
            if number is None:
                first = connection.bzpopmin(marker, 0.2)
                if first and first[1] == "1":
                    pause = first[2] / 1000 - time.time()
                    time.sleep(min(max(pause, 0), 0.2))
                continue
            # Others may go on at once.
            if connection.llen(wait):
                connection.zadd(marker, {"0": 0})
            with connection.pipeline() as pipe:
                pipe.set(f"bull:q:{number}:lock", "token", px=30000)
                pipe.hincrby(f"bull:q:{number}", "attempts", 1)
                pipe.xadd(events, {"event": "active", "jobId": number}, maxlen=10000, approximate=True)
                pipe.execute()
            done.add(int(connection.hget(f"bull:q:{number}", "data")))
            with connection.pipeline() as pipe:
                pipe.lrem(active, -1, number)
                pipe.zadd("bull:q:completed", {number: time.time()})
                pipe.delete(f"bull:q:{number}:lock")
                pipe.xadd(events, {"event": "completed", "jobId": number}, maxlen=10000, approximate=True)
                assert pipe.execute()[0] == 1

    def listen():
        connection, last, completed = connect(), "0", 0
        while completed < JOBS:
            for _, entries in connection.xread({events: last}, block=1000) or []:
                for last, fields in entries:
                    seen.append((fields["event"], int(fields["jobId"])))
                    completed += fields["event"] == "completed"

    def finish():
        try:
            done.check()
        finally:
            over.set()

    run(add, listen, finish, *(work for _ in range(WORKERS)))
    connection = connect()
    assert connection.zcard("bull:q:completed") == JOBS
    assert connection.exists(wait, active, delayed) == 0
    assert len(seen) == len(set(seen)) == 3 * JOBS
    for number in range(JOBS):
        order = [event for event, job in seen if job == number]
        assert order == ["waiting", "active", "completed"], order
        assert connection.hget(f"bull:q:{number}", "attempts") == "1"


for traffic in (like_rq, like_celery, like_bullmq):
    connect().flushdb()
    traffic()
connect().flushdb()
assert connect().info("clients")["blocked_clients"] == 0
print("queues like those of rq, celery and BullMQ: ok")
