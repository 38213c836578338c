#!/usr/bin/env bash
# confluent-kafka 2.12.1 (librdkafka 2.12.1) with Apache Kafka 4.3.1.
#
# A compacted topic takes no record without a key, and refuses the whole batch for one. Kafka's answer lists the records at
# fault (KIP-467), and librdkafka has a code for the others: "an invalid record in the same batch caused the failure".
#
# Guess: in a batch of three with one record without a key, that one is reported as INVALID_RECORD and the two others as
# _INVALID_DIFFERENT_RECORD.
# Seen: with exactly one record at fault all three are reported as INVALID_RECORD. With two at fault, in a batch of four, it is as
# guessed. So INVALID_RECORD does not mean that the record is invalid: the same record alone is taken.
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
java -cp 'lib/*' org.apache.kafka.tools.TopicCommand --bootstrap-server "127.0.0.1:$port" \
    --create --topic compacted --partitions 1 --config cleanup.policy=compact >topic.log 2>&1

cat >produce.py <<'PYTHON'
import sys

from confluent_kafka import Producer

producer = Producer({"bootstrap.servers": sys.argv[1], "linger.ms": 500})


def batch(keys):
    """What becomes of records with these keys that travel in one batch."""
    reports = []
    for key in keys:
        on_delivery = lambda error, _, key=key: reports.append(error.name() if error else "taken")
        producer.produce("compacted", b"value", key=key, partition=0, on_delivery=on_delivery)
    producer.flush()
    print(keys, reports)
    return reports


# The first connection takes a while: without it the batches might be split.
assert batch([b"a"]) == ["taken"]
invalid, other = "INVALID_RECORD", "_INVALID_DIFFERENT_RECORD"
assert batch([b"a", None, b"b"]) == [invalid, invalid, invalid]
assert batch([b"a", None, b"b", None]) == [other, invalid, other, invalid]
assert batch([b"b"]) == ["taken"]
PYTHON
python/bin/python produce.py "127.0.0.1:$port"
