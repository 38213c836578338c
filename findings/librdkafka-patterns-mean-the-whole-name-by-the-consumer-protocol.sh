#!/usr/bin/env bash
# confluent-kafka 2.12.1 (librdkafka 2.12.1) with Apache Kafka 4.3.1.
#
# A consumer subscribes to a pattern (a name that begins with `^`), once with `group.protocol=classic` and once with `consumer`.
# The topics are orders-a, orders-b and orders-o.
#
# Guess: which topics a pattern means does not depend on the group's protocol.
# Seen: with `classic` the client matches, as a search: `^orders` has all three, and `^(o)rders-\1` has orders-o. With `consumer` the
# broker matches, the whole name and by another syntax: `^orders` has none, nor has the one with the back-reference, and nothing is
# reported: no error from `subscribe`, `poll` or the error callback within 10 s. `^orders.*` has all three with both.
#
# Needs python3, Java and Maven. Fails when this changes.
set -euo pipefail

work=$(mktemp -d)
kafka=
clean_up() {
    if [ -n "$kafka" ]; then kill -KILL "$kafka" 2>/dev/null || true; wait "$kafka" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap clean_up EXIT

cd "$work"
cat >pom.xml <<'POM'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId>
  <artifactId>finding</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.3.1</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>4.3.1</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib -DincludeScope=runtime >maven.log 2>&1
python3 -m venv python
python/bin/pip --quiet --disable-pip-version-check install confluent-kafka==2.12.1

port=$((20000 + RANDOM % 10000))
cat >server.properties <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$work/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
PROPERTIES
java -cp 'lib/*' kafka.tools.StorageTool format -t Y29ycmVpby1maW5kaW5nMQ -c server.properties >format.log 2>&1
java -Xmx512m -cp 'lib/*' kafka.Kafka server.properties </dev/null >server.log 2>&1 &
kafka=$!
for _ in $(seq 300); do
    if grep -q "Kafka Server started" server.log; then break; fi
    sleep 0.2
done
brokers=127.0.0.1:$port
for topic in orders-a orders-b orders-o; do
    java -cp 'lib/*' org.apache.kafka.tools.TopicCommand --bootstrap-server "$brokers" --create --topic "$topic" --partitions 1 >>topic.log 2>&1
done

cat >consume.py <<'PYTHON'
import sys
import time
import uuid

from confluent_kafka import Consumer

ALL = ["orders-a", "orders-b", "orders-o"]


def look(protocol, pattern):
    """Which topics a consumer is given within 10 s, and what is reported."""
    topics, reported = set(), []
    consumer = Consumer({
        "bootstrap.servers": sys.argv[1],
        "group.id": str(uuid.uuid4()),
        "group.protocol": protocol,
        "error_cb": lambda error: reported.append(error.name()),
    })
    consumer.subscribe([pattern], on_assign=lambda _, partitions: topics.update(it.topic for it in partitions))
    end = time.monotonic() + 10
    while time.monotonic() < end and topics != set(ALL):
        message = consumer.poll(0.2)
        if message is not None and message.error():
            reported.append(message.error().name())
    consumer.close()
    print(protocol, pattern, "has", sorted(topics), "reported", sorted(set(reported)))
    return sorted(topics), reported


assert look("classic", "^orders.*") == (ALL, [])
assert look("consumer", "^orders.*") == (ALL, [])
assert look("classic", "^orders") == (ALL, [])
assert look("consumer", "^orders") == ([], [])
assert look("classic", r"^(o)rders-\1") == (["orders-o"], [])
assert look("consumer", r"^(o)rders-\1") == ([], [])
PYTHON
python/bin/python consume.py "$brokers"
