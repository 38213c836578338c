#!/usr/bin/env python3
"""The orders service: creates orders and publishes what becomes of them through Correio, over HTTP alone.

    orders.py URL COUNT KEY      creates COUNT orders, one each 100 ms, and prints each as it was answered
"""

import datetime
import json
import sys
import time
import urllib.error
import urllib.request


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def publish(url, key, topic, order_id, data):
    """An order is created whatever becomes of this: Correio keeps the record while Kafka is away."""
    body = json.dumps({"key": order_id, "data": data}, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "X-API-Key": key}
    for wait in [0.3, 0.6, 1.2, 2.4, 4.8, 9.6, 19.2, 30, 30, 30]:
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{url}/topics/{topic}", body, headers), timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise
        except OSError:
            pass
        time.sleep(wait)
    raise SystemExit(f"{topic}: {order_id} could not be published")


def create(number):
    items = [{"productId": f"P{number % 7}", "quantity": 1 + number % 3, "price": 1500.00}]
    total = sum(item["quantity"] * item["price"] for item in items)
    return {
        "orderId": f"order-{number:04}",
        "clientId": f"client-{number % 5}",
        "total": total,
        "status": "PENDENTE",
        "items": items,
        "itemsCount": len(items),
        "createdAt": now(),
    }


def changed(order, status):
    return {
        "orderId": order["orderId"],
        "clientId": order["clientId"],
        "clientName": f"Cliente {order['clientId'][-1]}",
        "status": status,
        "total": order["total"],
        "updatedAt": now(),
    }


def main():
    url, count, key = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    for number in range(count):
        order = create(number)
        told = publish(url, key, "orders.created", order["orderId"], order)
        # Each third order fails, the others are paid.
        topic, status = ("orders.failed", "FALHA") if number % 3 == 2 else ("orders.paid", "PAGO")
        publish(url, key, topic, order["orderId"], changed(order, status))
        print(f"{order['orderId']}  {status:5}  confirmed={told['confirmed']}  {told['duration_ms']} ms", flush=True)
        time.sleep(0.1)


if __name__ == "__main__":
    main()
