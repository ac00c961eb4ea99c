"""Confluent's Python client beside a running loop.

    python clients.py write BROKERS REGISTRY PROJECT     writes arrivals as it is told on standard input, a JSON object a line
    python clients.py read BROKERS REGISTRY TOPIC...     prints every committed record of the topics, a JSON object a line

A line of `write` holds `schema` (an Avro schema, registered by the serialiser) and `rows`: objects with `fields`, `key` and
`time`; with `abort`, they are written in a transaction that is aborted. It is answered by a line, once all are in Kafka:
`{"written": 3}`, or `{"refused": why}` where the registry does not take the schema.
"""

import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.error import KeySerializationError, SerializationError, ValueSerializationError
from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

# Where the records of an entity lie: as Java's clients and Mainstem have it, and librdkafka only if it is told.
PARTITIONER = {"partitioner": "murmur2_random"}


def write(brokers, registry, project):
    topic = f"{project}.arrivals.orders"
    client = SchemaRegistryClient({"url": registry})
    settings = {"bootstrap.servers": brokers, **PARTITIONER}
    plain = Producer({**settings, "enable.idempotence": True})
    aborts = Producer({**settings, "transactional.id": f"{project}-foreign"})
    aborts.init_transactions()
    serialisers = {}
    for line in sys.stdin:
        told = json.loads(line)
        text = json.dumps(told["schema"])
        try:
            if text not in serialisers:
                serialisers[text] = AvroSerializer(client, text)
            producer = aborts if told.get("abort") else plain
            if told.get("abort"):
                aborts.begin_transaction()
            for row in told["rows"]:
                value = serialisers[text](row["fields"], SerializationContext(topic, MessageField.VALUE))
                headers = [("ce_time", row["time"].encode())]
                producer.produce(topic, value=value, key=row["key"].encode(), headers=headers)
            assert producer.flush(60) == 0
            if told.get("abort"):
                aborts.abort_transaction()
            answer = {"written": len(told["rows"])}
        except (SerializationError, ValueSerializationError, KeySerializationError, SchemaRegistryError) as error:
            answer = {"refused": str(error)}
        print(json.dumps(answer), flush=True)


def read(brokers, registry, *topics):
    deserialise = AvroDeserializer(SchemaRegistryClient({"url": registry}))
    consumer = Consumer({
        "bootstrap.servers": brokers,
        "group.id": "nobody",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
    })
    for topic in topics:
        for partition in consumer.list_topics(topic).topics[topic].partitions:
            consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
            while True:
                message = consumer.poll(1.0)
                if message is None:
                    continue
                if message.error() is not None:
                    # A partition may end with markers of transactions, which are no records: only its end says so.
                    assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                    break
                context = SerializationContext(topic, MessageField.VALUE, message.headers())
                value = deserialise(message.value(), context)
                found = {"topic": topic, "key": message.key().decode(), "value": value}
                print(json.dumps(found, default=lambda one: one.hex() if isinstance(one, bytes) else str(one)))


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](*sys.argv[2:])
