"""celery with redis as broker and as store of results: celery_tasks.py host:port"""

import logging
import os
import sys
import threading

import redis
from celery import Celery, group
from celery.contrib.testing.worker import start_worker

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:6464"
app = Celery("tasks", broker=f"redis://{address}/0", backend=f"redis://{address}/1")
app.conf.update(broker_connection_retry_on_startup=False, result_expires=60)
app.conf.update(worker_hijack_root_logger=False)
logging.getLogger("celery").setLevel(logging.CRITICAL)


@app.task
def add(x, y):
    return x + y


@app.task(bind=True, max_retries=3)
def second_time(self):
    if self.request.retries == 0:
        raise self.retry(countdown=0.1)
    return self.request.retries


@app.task
def fails():
    raise ValueError("as it should")


host, port = address.rsplit(":", 1)
for db in (0, 1):
    redis.Redis(host=host, port=int(port), db=db).flushdb()

# A test that hangs ends.
timer = threading.Timer(120, lambda: os._exit(3))
timer.daemon = True
timer.start()

# What is sent before anybody listens waits in its queue.
early = add.delay(1, 2)
with start_worker(app, perform_ping_check=False, pool="threads", concurrency=2, shutdown_timeout=30):
    assert early.get(timeout=30) == 3
    results = [add.delay(i, i) for i in range(50)]
    assert [result.get(timeout=30) for result in results] == [2 * i for i in range(50)]
    assert group(add.s(i, 1) for i in range(5))().get(timeout=30) == [1, 2, 3, 4, 5]
    assert second_time.delay().get(timeout=30) == 1
    failed = fails.delay()
    try:
        failed.get(timeout=30)
        raise AssertionError("the task raises")
    except ValueError as error:
        assert str(error) == "as it should"
    late = add.apply_async((3, 4), countdown=0.2)
    assert late.get(timeout=30) == 7
print("celery: ok")
sys.stdout.flush()
# The worker's threads may wait for the broker for a while longer.
os._exit(0)
