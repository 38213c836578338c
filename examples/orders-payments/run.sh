#!/bin/bash
# The whole flow: a Kafka of its own, Correio, the orders service, the payments service; Kafka is killed for 10 s in between.
#
#     KAFKA_LIB=/path/to/kafka/jars CORREIO=/path/to/correio ./run.sh [orders]
#
# KAFKA_LIB: a directory with Apache Kafka's jars (README.md says how to get them). Needs java, python3 and curl.
set -euo pipefail
cd "$(dirname "$0")"
: "${KAFKA_LIB:?a directory with the jars of Apache Kafka}"
correio=${CORREIO:-correio}
orders=${1:-200}
work=$(mktemp -d)
kafka_pid= correio_pid= payments_pid=
cleanup() {
    disown -a 2>/dev/null || true
    for pid in $payments_pid $correio_pid $kafka_pid; do kill -9 "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap cleanup EXIT

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
broker=$(port) controller=$(port) http=$(port)
key=orders-payments-example-key-0123456789

cat > "$work/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$broker,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$broker
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$work/kafka
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
num.partitions=3
PROPERTIES
java -cp "$KAFKA_LIB/*" kafka.tools.StorageTool format -t "$(java -cp "$KAFKA_LIB/*" kafka.tools.StorageTool random-uuid 2>/dev/null | tail -1)" \
    -c "$work/server.properties" > /dev/null 2>&1

start_kafka() {
    : > "$work/kafka.log"
    java -Xmx256m -cp "$KAFKA_LIB/*" kafka.Kafka "$work/server.properties" > "$work/kafka.log" 2>&1 &
    kafka_pid=$!
    until grep -q 'Kafka Server started' "$work/kafka.log"; do
        kill -0 "$kafka_pid" || { tail -20 "$work/kafka.log"; exit 1; }
        sleep 0.2
    done
}

echo "# Kafka on port $broker"
start_kafka
(cd "$work" && exec env DATA_DIR="$work/data" HOST=127.0.0.1 PORT="$http" BOOTSTRAP_API_KEY="$key" KAFKA_BROKERS="127.0.0.1:$broker" \
    TOPICS_AUTO_CREATE=true TOPICS_CONFIRM_TIMEOUT=1s LOG_FORMAT=text "$correio" serve > "$work/correio.log" 2>&1) &
correio_pid=$!
until curl -sf "http://127.0.0.1:$http/health/ready" > /dev/null; do
    kill -0 "$correio_pid" || { cat "$work/correio.log"; exit 1; }
    sleep 0.2
done
echo "# Correio on port $http"

python3 payments.py "127.0.0.1:$broker" "$orders" > "$work/payments.log" &
payments_pid=$!
python3 orders.py "http://127.0.0.1:$http" "$orders" "$key" > "$work/orders.log" &
orders_pid=$!

sleep 5
echo "# Kafka is killed"
kill -9 "$kafka_pid"
wait "$kafka_pid" 2>/dev/null || true
sleep 10
curl -s "http://127.0.0.1:$http/health" | python3 -c 'import json, sys; h = json.load(sys.stdin); print("# health:", h["status"], "- waiting:", h["outbox"]["pending"])'
start_kafka
echo "# Kafka is back"

wait "$orders_pid"
tail -3 "$work/orders.log"
wait "$payments_pid"
payments_pid=
tail -4 "$work/payments.log"
