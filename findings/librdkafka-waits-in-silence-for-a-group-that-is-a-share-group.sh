#!/usr/bin/env bash
# confluent-kafka 2.12.1 (librdkafka 2.12.1) with Apache Kafka 4.3.1.
#
# A share consumer was once a member of a group and has left: the group stays a share group. Then an ordinary consumer subscribes
# with the same group id.
#
# Guess: with `group.protocol=consumer` the consumer reports an error that names the group's type, as it does with
# `group.protocol=classic`, or at least one of the kind "unknown group".
# Seen: with `classic`, `poll` returns INCONSISTENT_GROUP_PROTOCOL every two seconds. With `consumer` nothing is reported at all, by
# `poll`, by the error callback or in the log: within 15 s the consumer gets no partition, and its statistics say that the coordinator
# is up and the member is in `init`.
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
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
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
java -cp 'lib/*' org.apache.kafka.tools.TopicCommand --bootstrap-server "$brokers" --create --topic things --partitions 1 >topic.log 2>&1
timeout 10 java -cp 'lib/*' org.apache.kafka.tools.consumer.ConsoleShareConsumer --bootstrap-server "$brokers" --topic things \
    --group once-shared >share.log 2>&1 || true

cat >consume.py <<'PYTHON'
import json
import sys
import time

from confluent_kafka import Consumer


def look(protocol):
    """What a consumer reports within 15 s, and how it sees its group at the end."""
    reported, assigned, state = [], [], {}

    def statistics(text):
        group = json.loads(text).get("cgrp", {})
        state.update(coordinator=group.get("state"), member=group.get("join_state"))

    consumer = Consumer({
        "bootstrap.servers": sys.argv[1],
        "group.id": "once-shared",
        "group.protocol": protocol,
        "error_cb": lambda error: reported.append(error.name()),
        "stats_cb": statistics,
        "statistics.interval.ms": 1000,
    })
    consumer.subscribe(["things"], on_assign=lambda _, partitions: assigned.extend(partitions))
    end = time.monotonic() + 15
    while time.monotonic() < end:
        message = consumer.poll(0.2)
        if message is not None and message.error():
            reported.append(message.error().name())
    consumer.close()
    print(protocol, "reported", sorted(set(reported)), "assigned", len(assigned), state)
    return set(reported), assigned, state


reported, assigned, _ = look("classic")
assert reported == {"INCONSISTENT_GROUP_PROTOCOL"} and not assigned
reported, assigned, state = look("consumer")
assert not reported and not assigned
assert state == {"coordinator": "up", "member": "init"}, state
PYTHON
python/bin/python consume.py "$brokers"
