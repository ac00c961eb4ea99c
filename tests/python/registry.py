"""Confluent's Python client against a schema registry, every call and its errors.

    python registry.py URL

The registry is that of a project `shop` with a source `orders`. Whatever is not as a registry of Confluent's would have it
ends the script with an error.
"""

import json
import sys

import requests
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.schema_registry_client import ConfigCompatibilityLevel, ServerConfig

URL = sys.argv[1]
MEDIA = "application/vnd.schemaregistry.v1+json"


def client():
    """A new one each time, for it remembers what it was told."""
    return SchemaRegistryClient({"url": URL, "max.retries": 0})


def avro(*fields, name="test.R"):
    return Schema(json.dumps({"type": "record", "name": name, "fields": list(fields)}), "AVRO")


def field(name, kind, **more):
    return {"name": name, "type": kind, **more}


def refused(code, status, call, *words):
    try:
        told = call()
    except SchemaRegistryError as error:
        found = (error.error_code, error.http_status_code)
        assert found == (code, status), f"{found} instead of {(code, status)}: {error}"
        for word in words:
            assert word in error.error_message, f"{word!r} is not in {error.error_message!r}"
        return error.error_message
    raise AssertionError(f"{told!r} instead of {code}")


def same(found, wanted):
    assert found == wanted, f"{found!r} instead of {wanted!r}"


def register_and_look_up():
    v1 = avro(field("x", "int"))
    v2 = avro(field("x", "long"), field("y", ["null", "string"], default=None))
    one = client().register_schema("a-value", v1)
    same(client().register_schema("a-value", v1), one)
    full = client().register_schema_full_response("a-value", v2)
    same((full.schema_id, full.version), (one + 1, 2))
    same(client().register_schema("b-value", v1), one)
    same(json.loads(client().get_schema(one).schema_str), json.loads(v1.schema_str))
    same(client().get_schema(one, subject_name="a-value").schema_type, "AVRO")
    found = client().lookup_schema("a-value", v2)
    same((found.subject, found.version, found.schema_id), ("a-value", 2, one + 1))
    same(client().get_versions("a-value"), [1, 2])
    same(client().get_subjects(subject_prefix="a-"), ["a-value"])
    same(client().get_latest_version("a-value").version, 2)
    same(client().get_version("a-value", 1).schema_id, one)
    same(client().get_subjects_by_schema_id(one), ["a-value", "b-value"])
    places = {(one.subject, one.version) for one in client().get_schema_versions(one)}
    same(places, {("a-value", 1), ("b-value", 1)})
    same(client().get_schema_types(), ["AVRO"])
    same(client().get_contexts(), ["."])
    refused(40401, 404, lambda: client().get_versions("nobody"), "nobody")
    refused(40401, 404, lambda: client().lookup_schema("nobody", v1))
    refused(40403, 404, lambda: client().lookup_schema("b-value", v2))
    refused(40402, 404, lambda: client().get_version("a-value", 9), "9")
    refused(40403, 404, lambda: client().get_schema(99999), "99999")
    refused(42202, 422, lambda: client().get_version("a-value", "0"), "latest")
    refused(42202, 422, lambda: client().get_version("a-value", "first"))
    refused(42201, 422, lambda: client().register_schema("a-value", Schema('{"type":"record"}', "AVRO")))
    refused(42201, 422, lambda: client().register_schema("a-value", Schema("{}", "JSON")), "Avro")


def subjects_may_have_any_name():
    for name in ["with space", "with/slash", "ünïcode-value", "50%", "a+b"]:
        client().register_schema(name, Schema('"int"', "AVRO"))
        same(client().get_versions(name), [1])
        assert name in client().get_subjects(), name
        client().delete_subject(name)
        client().delete_subject(name, permanent=True)


def normalised():
    one = Schema('{"name": "R", "namespace": "n", "type": "record", "fields": []}', "AVRO")
    other = Schema('{"type": "record", "name": "n.R", "fields": []}', "AVRO")
    number = client().register_schema("n-value", one)
    refused(40403, 404, lambda: client().lookup_schema("n-value", other))
    same(client().lookup_schema("n-value", other, normalize_schemas=True).schema_id, number)
    same(client().register_schema("n-value", other, normalize_schemas=True), number)


def references():
    place = avro(field("city", "string"), name="geo.Place")
    number = client().register_schema("place", place)
    order = avro(field("at", "geo.Place"), field("back", ["null", "geo.Place"]), name="shop.Order")
    refused(42201, 422, lambda: client().register_schema("order-value", order), "geo.Place")
    reference = SchemaReference(name="geo.Place", subject="place", version=1)
    order = Schema(order.schema_str, "AVRO", [reference])
    by = client().register_schema("order-value", order)
    same(client().get_schema(by).references, [reference])
    same(client().get_referenced_by("place", 1), [by])
    same(client().get_referenced_by("order-value", 1), [])
    refused(42206, 422, lambda: client().delete_version("place", 1), "place")
    refused(42206, 422, lambda: client().delete_subject("place"))
    client().delete_subject("order-value")
    same(client().delete_version("place", 1), 1)
    assert number < by


def levels():
    v1 = avro(field("x", "int"))
    adds = avro(field("x", "int"), field("y", "int"))
    retyped = avro(field("x", "string"))
    client().register_schema("c-value", v1)
    same(client().get_compatibility(), "BACKWARD")
    refused(40408, 404, lambda: client().get_compatibility("c-value"), "c-value")
    same(client().test_compatibility("c-value", adds), False)
    same(client().test_compatibility("c-value", v1, version=1), True)
    same(client().test_compatibility_all_versions("c-value", retyped), False)
    refused(40402, 404, lambda: client().test_compatibility("c-value", v1, version=7))
    refused(409, 409, lambda: client().register_schema("c-value", adds), "'y'", "c-value", "BACKWARD", "oldSchemaVersion: 1")
    refused(409, 409, lambda: client().register_schema("c-value", retyped), "TYPE_MISMATCH", "'x'")
    same(client().set_compatibility("c-value", "forward"), {"compatibility": "FORWARD"})
    same(client().get_compatibility("c-value"), "FORWARD")
    same(client().test_compatibility("c-value", adds), True)
    fewer = avro()
    message = refused(409, 409, lambda: client().register_schema("c-value", fewer), "'x'", "FORWARD")
    assert "in the old schema has no default value" in message, message
    for level in ConfigCompatibilityLevel:
        client().set_config("c-value", ServerConfig(compatibility=level))
        same(str(client().get_config("c-value").compatibility_level), str(level))
    same(client().test_compatibility("c-value", retyped), True)  # The last one was NONE.
    same(str(client().delete_config("c-value").compatibility_level), "NONE")
    refused(40408, 404, lambda: client().get_config("c-value"))
    refused(42203, 422, lambda: client().set_compatibility("c-value", "sideways"), "SIDEWAYS")
    client().set_compatibility(level="FULL")
    same(client().get_compatibility(), "FULL")
    same(client().test_compatibility("c-value", adds), False)
    same(str(client().get_config().compatibility_level), "FULL")
    client().delete_config()
    same(client().get_compatibility(), "BACKWARD")


def transitive():
    first, second = avro(field("x", "int")), avro(field("x", "int"), field("y", "int", default=0))
    third = avro(field("x", "int"), field("y", "int"))
    for schema in (first, second):
        client().register_schema("t-value", schema)
    same(client().test_compatibility_all_versions("t-value", third), True)
    client().set_compatibility("t-value", "BACKWARD_TRANSITIVE")
    same(client().test_compatibility_all_versions("t-value", third), False)
    refused(409, 409, lambda: client().register_schema("t-value", third), "oldSchemaVersion: 1", "'y'")


def deletes():
    v1, v2 = avro(field("x", "int")), avro(field("x", "long"))
    one, two = client().register_schema("d-value", v1), client().register_schema("d-value", v2)
    refused(40407, 404, lambda: client().delete_version("d-value", 1, permanent=True))
    refused(40405, 404, lambda: client().delete_subject("d-value", permanent=True))
    same(client().delete_version("d-value", 1), 1)
    refused(40406, 404, lambda: client().delete_version("d-value", 1))
    refused(40402, 404, lambda: client().get_version("d-value", 1))
    same(client().get_version("d-value", 1, deleted=True).schema_id, one)
    same(client().get_versions("d-value"), [2])
    same(client().get_versions("d-value", deleted=True), [1, 2])
    refused(40403, 404, lambda: client().lookup_schema("d-value", v1))
    same(client().lookup_schema("d-value", v1, deleted=True).version, 1)
    same(client().delete_version("d-value", 1, permanent=True), 1)
    refused(40402, 404, lambda: client().get_version("d-value", 1, deleted=True))
    same(client().delete_subject("d-value"), [2])
    refused(40404, 404, lambda: client().delete_subject("d-value"))
    assert "d-value" not in client().get_subjects()
    assert "d-value" in client().get_subjects(deleted=True)
    same(client().get_subjects(deleted_only=True).count("d-value"), 1)
    same(json.loads(client().get_schema(two).schema_str), json.loads(v2.schema_str))
    same(client().delete_subject("d-value", permanent=True), [2])
    refused(40401, 404, lambda: client().delete_subject("d-value", permanent=True))
    same(client().register_schema("d-value", v2), two)


def modes():
    same(client().get_global_mode(), "READWRITE")
    refused(40409, 404, lambda: client().get_mode("m-value"))
    v1, v2 = avro(field("x", "int"), name="m.R"), avro(field("x", "long"), name="m.R")
    client().register_schema("m-value", v1)
    same(client().update_mode("m-value", "READONLY"), "READONLY")
    same(client().get_mode("m-value"), "READONLY")
    refused(42205, 422, lambda: client().register_schema("m-value", v2), "read-only")
    refused(42205, 422, lambda: client().delete_subject("m-value"), "read-only")
    refused(42205, 422, lambda: client().set_compatibility("m-value", "NONE"), "read-only")
    same(client().delete_mode("m-value"), "READONLY")
    refused(42204, 422, lambda: client().update_mode("m-value", "SLEEPING"), "SLEEPING")
    client().update_global_mode("READONLY")
    refused(42205, 422, lambda: client().register_schema("other-value", v2))
    client().update_global_mode("READWRITE")
    refused(42205, 422, lambda: client().update_mode("m-value", "IMPORT"), "force")
    client().update_mode("i-value", "IMPORT")
    sent = {"schema": '"bytes"', "id": 7000, "version": 3}
    told = requests.post(f"{URL}/subjects/i-value/versions", json=sent, headers={"Content-Type": MEDIA})
    same((told.status_code, told.json()["id"]), (200, 7000))
    same(client().get_versions("i-value"), [3])
    assert client().register_schema("m-value", v2) > 7000


def plain_http():
    """What the client does not ask for."""
    text = requests.get(f"{URL}/subjects/a-value/versions/latest/schema")
    same((text.status_code, text.headers["Content-Type"]), (200, MEDIA))
    same([one["name"] for one in text.json()["fields"]], ["x", "y"])
    number = client().get_latest_version("a-value").schema_id
    same(requests.get(f"{URL}/schemas/ids/{number}/schema").json(), text.json())
    found = requests.get(f"{URL}/schemas", params={"subjectPrefix": "a-value", "latestOnly": "true"}).json()
    same([(one["subject"], one["version"], one["id"]) for one in found], [("a-value", 2, number)])
    verbose = requests.post(
        f"{URL}/compatibility/subjects/a-value/versions/latest?verbose=true",
        json={"schema": avro(field("z", "int")).schema_str},
        headers={"Content-Type": MEDIA},
    ).json()
    same(verbose["is_compatible"], False)
    assert any("'z'" in message for message in verbose["messages"]), verbose
    same(requests.get(f"{URL}/config/none-value?defaultToGlobal=true").json(), {"compatibilityLevel": "BACKWARD"})
    same(requests.get(f"{URL}/mode/none-value?defaultToGlobal=true").json(), {"mode": "READWRITE"})
    same(requests.get(f"{URL}/subjects/a-value/versions/-1").json()["version"], 2)
    wrong = requests.post(f"{URL}/subjects/a-value/versions", data="x=1", headers={"Content-Type": "text/plain"})
    same((wrong.status_code, wrong.json()["error_code"]), (415, 415))
    broken = requests.post(f"{URL}/subjects/a-value/versions", data="{", headers={"Content-Type": MEDIA})
    same((broken.status_code, broken.json()["error_code"]), (400, 400))
    empty = requests.post(f"{URL}/subjects/a-value/versions", json={}, headers={"Content-Type": MEDIA})
    same((empty.status_code, empty.json()["error_code"]), (422, 42201))
    rules = {"schema": '"int"', "ruleSet": {"domainRules": [{"name": "r"}]}}
    told = requests.post(f"{URL}/subjects/a-value/versions", json=rules, headers={"Content-Type": MEDIA})
    same((told.status_code, told.json()["error_code"]), (422, 42201))


def the_products_own():
    subjects = client().get_subjects()
    for name in ["shop.arrivals.orders-value", "shop.features.orders-value", "shop.predictions.returns-value",
                 "shop.turns-value", "shop.rejects.orders-value", "mainstem.DriftMeasured"]:
        assert name in subjects, f"{name} is not in {subjects}"
        found = client().get_latest_version(name)
        same(found.version, 1)
        same(client().get_schema(found.schema_id).schema_str, found.schema.schema_str)
    rows = json.loads(client().get_latest_version("shop.features.orders-value").schema.schema_str)
    same([one["name"] for one in rows["fields"]][:3], ["origin", "event_time", "entity"])
    for name in ["mainstem.DriftMeasured", "shop.turns-value", "shop.features.orders-value"]:
        refused(42205, 422, lambda: client().register_schema(name, avro()), "mainstem")
        refused(42205, 422, lambda: client().delete_subject(name), "mainstem")
    refused(42205, 422, lambda: client().delete_subject("shop.arrivals.orders-value"))
    # A source's schema may grow by what its tasks can read.
    own = json.loads(client().get_latest_version("shop.arrivals.orders-value").schema.schema_str)
    fewer = {**own, "fields": [one for one in own["fields"] if one["name"] != "amount"]}
    words = "amount", "orders", "SOURCE_UNREADABLE"
    refused(409, 409, lambda: client().register_schema("shop.arrivals.orders-value", Schema(json.dumps(fewer), "AVRO")), *words)
    more = {**own, "fields": own["fields"] + [field("colour", ["null", "string"], default=None)]}
    client().register_schema("shop.arrivals.orders-value", Schema(json.dumps(more), "AVRO"))
    same(client().get_versions("shop.arrivals.orders-value"), [1, 2])


for check in [
    the_products_own, register_and_look_up, subjects_may_have_any_name, normalised, references, levels, transitive, deletes,
    plain_http, modes,
]:
    check()
    print(check.__name__, flush=True)
