#!/usr/bin/env bash
# confluent-kafka 2.12.1 (librdkafka 2.12.1) with Apache Kafka 4.3.1, group.consumer.migration.policy at its default (bidirectional).
#
# The documented way from the classic group protocol to `consumer`: one member after the other is replaced by one of the new
# protocol, and the broker converts the group while it goes on. The classic members have `cooperative-sticky`.
#
# Guess: whether a classic member has been through a rebalance before makes no difference to that.
# Seen: with one classic member that has joined once, a consumer of the new protocol gets its half of the partitions within seconds.
# With one that has joined a second time (another member came and left), it gets nothing for 20 s and longer, and neither `poll` nor the
# error callback says a word; the broker logs "Cannot upgrade classic group", because from its second join on the client sends user data
# with its subscription, and the broker keeps that from being lost. Once the classic member has left, the new one has all.
# So in a group that has ever rebalanced, the conversion waits until the last classic member has gone.
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
java -cp 'lib/*' org.apache.kafka.tools.TopicCommand --bootstrap-server "$brokers" --create --topic things --partitions 4 >topic.log 2>&1
cat >convert.py <<'PYTHON'
import sys
import threading
import time

from confluent_kafka import Consumer


class Member:
    """Polls in a thread of its own until it leaves."""

    def __init__(self, group, protocol):
        self.reported, self.has_left = set(), threading.Event()
        settings = {
            "bootstrap.servers": sys.argv[1],
            "group.id": group,
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
            "error_cb": lambda error: self.reported.add(error.name()),
        }
        if protocol == "classic":
            settings["partition.assignment.strategy"] = "cooperative-sticky"
        self.consumer = Consumer(settings)
        self.consumer.subscribe(["things"])
        self.thread = threading.Thread(target=self.poll)
        self.thread.start()

    def poll(self):
        while not self.has_left.is_set():
            message = self.consumer.poll(0.1)
            if message is not None and message.error():
                self.reported.add(message.error().name())
        self.consumer.close()

    def leave(self):
        self.has_left.set()
        self.thread.join()

    def comes_to_have(self, partitions, within):
        end = time.monotonic() + within
        while time.monotonic() < end:
            if len(self.consumer.assignment()) == partitions:
                return True
            time.sleep(0.1)
        return False


def conversion(group, is_used):
    old = Member(group, "classic")
    assert old.comes_to_have(4, 60)
    if is_used:
        other = Member(group, "classic")
        assert other.comes_to_have(2, 60)
        other.leave()
        assert old.comes_to_have(4, 60)
    new = Member(group, "consumer")
    shared = new.comes_to_have(2, 20)
    print(group, "shared with the old member:", shared, "reported:", sorted(new.reported))
    assert not new.reported
    old.leave()
    assert new.comes_to_have(4, 90), "the old member has left"
    new.leave()
    return shared


assert conversion("joined-once", is_used=False)
assert not conversion("rebalanced", is_used=True)
PYTHON
python/bin/python convert.py "$brokers"
grep -o "Cannot upgrade classic group rebalanced[^.]*" server.log | sort -u | head -n 1
grep -q "Cannot upgrade classic group rebalanced" server.log
