#!/usr/bin/env python3
"""The payments service: consumes the orders' topics from the beginning, as the group `payments-service-group`.

    payments.py BROKERS COUNT    ends when it knows of COUNT orders that they were created, and paid or failed; exit 1 after 120 s
"""

import json
import sys
import time

from confluent_kafka import Consumer

TOPICS = ["orders.created", "orders.paid", "orders.failed"]


def main():
    brokers, count = sys.argv[1], int(sys.argv[2])
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "payments-service-group",
            "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": 2000,
        }
    )
    consumer.subscribe(TOPICS)
    seen = {topic: {} for topic in TOPICS}
    until = time.monotonic() + 120
    while time.monotonic() < until:
        record = consumer.poll(1.0)
        if record is None or record.error():
            continue
        order = json.loads(record.value())
        assert record.key().decode() == order["orderId"]
        messages = seen[record.topic()].setdefault(order["orderId"], [])
        messages.append(dict(record.headers())["message-id"])
        print(f"{record.topic():15} {order['orderId']}  {order['status']:8}  {order['total']:.2f}", flush=True)
        ended = len(seen["orders.paid"]) + len(seen["orders.failed"])
        if len(seen["orders.created"]) == count and ended == count:
            twice = sum(len(ids) - len(set(ids)) for topic in seen.values() for ids in topic.values())
            print(f"{count} orders: {len(seen['orders.paid'])} paid, {len(seen['orders.failed'])} failed, {twice} records twice")
            consumer.close()
            return
    consumer.close()
    raise SystemExit(f"after 120 s: {[(topic, len(orders)) for topic, orders in seen.items()]} of {count}")


if __name__ == "__main__":
    main()
