"""A team's own producer, which knows nothing of Mainstem: JSON and Avro, several event types on a topic, keys or none,
tombstones, headers, an aborted transaction, a poisoned record. Prints what it wrote, and the registry's schemas, as JSON.

Usage: foreign_producer.py BOOTSTRAP JSON_TOPIC AVRO_TOPIC
"""

import json
import sys

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

BOOTSTRAP, JSON_TOPIC, AVRO_TOPIC = sys.argv[1:4]
BEGIN = 1_700_000_000_000

CLICK = """{"type": "record", "name": "Click", "namespace": "com.shop", "fields": [
    {"name": "session", "type": {"type": "record", "name": "Session", "fields": [
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "pages", "type": {"type": "array", "items": "string"}}]}},
    {"name": "happened", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "price", "type": ["null", "double"], "default": null},
    {"name": "clicks", "type": "int"}]}"""
VIEW = """{"type": "record", "name": "View", "namespace": "com.shop", "fields": [
    {"name": "happened", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}"""

written = {"json": [], "avro": []}


def report(kind, wanted):
    def delivered(error, message):
        if error is not None:
            raise SystemExit(f"not delivered: {error}")
        written[kind].append([*wanted, message.partition(), message.offset()])

    return delivered


def topics():
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    compacted = {"cleanup.policy": "compact"}
    # The records' own timestamps are of 2023: a broker's default retention would soon delete them.
    kept = {"retention.ms": "-1"}
    wanted = [NewTopic(JSON_TOPIC, 3, 1, config=kept), NewTopic(AVRO_TOPIC, 2, 1, config=compacted)]
    for future in admin.create_topics(wanted).values():
        future.result()


def write_json():
    # Idempotent, so that a send tried again stays in its place: a user's records must keep their order.
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True})
    for n in range(300):
        # Without a key the records of one user would lie in several partitions, in no order: guests come once.
        user, time = f"guest{n}" if n % 5 == 0 else f"user{n % 7}", BEGIN + n * 1000
        key = None if n % 5 == 0 else user
        is_click = n % 3 != 0
        headers = [("ce_type", b"shop.click" if is_click else b"shop.view"), ("lane", str(n % 2).encode())]
        value = {"user": user, "price": n / 4, "nested": {"list": [n, None]}} if is_click else {"page": n}
        delivered = report("json", [user, time, n / 4]) if is_click else None
        producer.produce(JSON_TOPIC, json.dumps(value), key, headers=headers, timestamp=time, on_delivery=delivered)
        if n % 50 == 7:
            producer.produce(JSON_TOPIC, None, user, headers=headers, timestamp=time)
            producer.produce(JSON_TOPIC, b"\xff poison", user, headers=[("ce_type", b"shop.click")], timestamp=time)
    producer.flush()


def write_avro():
    registry = SchemaRegistryClient.new_client({"url": "mock://"})
    strategy = {"subject.name.strategy": topic_record_subject_name_strategy}
    key_of = AvroSerializer(registry, '"string"')
    click_of = AvroSerializer(registry, CLICK, conf=strategy)
    view_of = AvroSerializer(registry, VIEW, conf=strategy)
    in_key = SerializationContext(AVRO_TOPIC, MessageField.KEY)
    in_value = SerializationContext(AVRO_TOPIC, MessageField.VALUE)
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "transactional.id": AVRO_TOPIC})
    producer.init_transactions()
    for n in range(200):
        if n % 20 == 0:
            producer.begin_transaction()
        # Ten records of this transaction are written and taken back.
        aborted = 100 <= n < 120
        user, time = f"user{n % 11}", BEGIN + n * 1000
        session = {"id": "7f4c8a52-9d3e-4b3a-8a30-5e0f3b1f2c11", "pages": ["a"] * (n % 4)}
        price = None if n % 6 == 0 else n / 8
        click = {"session": session, "happened": time, "price": price, "clicks": n}
        key = key_of(user, in_key)
        delivered = None if aborted else report("avro", [user, time, price, n])
        producer.produce(AVRO_TOPIC, click_of(click, in_value), key, on_delivery=delivered)
        if n % 9 == 0:
            producer.produce(AVRO_TOPIC, view_of({"happened": time}, in_value), key)
        if n % 40 == 5:
            producer.produce(AVRO_TOPIC, None, key)
        if n % 20 == 19:
            producer.flush()
            if aborted:
                producer.abort_transaction()
            else:
                producer.commit_transaction()
    schemas = {}
    for subject in registry.get_subjects():
        registered = registry.get_latest_version(subject)
        schemas[registered.schema_id] = registered.schema.schema_str
    written["schemas"] = schemas


topics()
write_json()
write_avro()
print(json.dumps(written))
