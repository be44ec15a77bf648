"""rq with several workers, which wait and are told to stop by pub/sub: rq_jobs.py host:port"""

import os
import subprocess
import sys
import threading
import time

import redis
from rq import Queue, Retry, SimpleWorker
from rq.command import send_shutdown_command

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:6464"
host, port = address.rsplit(":", 1)
QUEUES = ["high", "low"]
JOBS = 60


def connect():
    return redis.Redis(host=host, port=int(port))


def work(number):
    connect().incr(f"done:{number}")
    return number * 2


def second_time():
    if connect().incr("tries") == 1:
        raise ValueError("as it should")
    return "done"


if __name__ == "__main__" and sys.argv[2:] == ["work"]:
    connection = connect()
    SimpleWorker([Queue(name, connection=connection) for name in QUEUES], connection=connection).work(
        logging_level="ERROR"
    )
    sys.exit()

if __name__ == "__main__":
    # The workers know the jobs by the name of their module, not as those of the program that runs.
    import rq_jobs

    timer = threading.Timer(120, lambda: os._exit(3))
    timer.daemon = True
    timer.start()

    connection = connect()
    connection.flushdb()
    high, low = (Queue(name, connection=connection) for name in QUEUES)
    jobs = [(low, high)[i % 3 == 0].enqueue(rq_jobs.work, i) for i in range(JOBS // 2)]
    here = os.path.dirname(os.path.abspath(__file__))
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, address, "work"], env={**os.environ, "PYTHONPATH": here}, stderr=subprocess.DEVNULL
        )
        for _ in range(3)
    ]
    while len(SimpleWorker.all(connection=connection)) < len(workers):
        time.sleep(0.05)
    # From here on some of them wait when a job comes.
    for i in range(JOBS // 2, JOBS):
        jobs.append((low, high)[i % 3 == 0].enqueue(rq_jobs.work, i))
        time.sleep(0.01)
    jobs.append(low.enqueue(rq_jobs.second_time, retry=Retry(max=2)))
    # One that depends on another is put into its queue by who has done the other.
    jobs.append(low.enqueue(rq_jobs.work, JOBS, depends_on=jobs[-1]))
    while any(job.get_status(refresh=True) != "finished" for job in jobs):
        time.sleep(0.05)
    assert [connection.get(f"done:{i}") for i in range(JOBS + 1)] == [b"1"] * (JOBS + 1)
    assert [job.return_value() for job in jobs[:JOBS]] == [2 * i for i in range(JOBS)]
    assert connection.get("tries") == b"2"
    assert len(high) == len(low) == 0 and low.finished_job_registry.count + high.finished_job_registry.count == len(jobs)
    for worker in SimpleWorker.all(connection=connection):
        send_shutdown_command(connection, worker.name)
    for worker in workers:
        assert worker.wait(30) == 0
    assert SimpleWorker.all(connection=connection) == []
    connection.flushdb()
    print("rq: ok")
