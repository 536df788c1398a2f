"""A tap on the Singer SDK: orders with their lines, of which the SDK reports one by one; customers; visits, slowly."""

import time
from collections.abc import Iterable
from typing import Any

from singer_sdk import Stream, Tap
from singer_sdk import typing as th


class Orders(Stream):
    """So many orders."""

    name = "orders"
    primary_keys = ("id",)
    schema = th.PropertiesList(th.Property("id", th.IntegerType), th.Property("customer", th.StringType)).to_dict()

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        del context
        for number in range(self.config["orders"]):
            yield {"id": number, "customer": f"customer {number % 7}"}

    def get_child_context(self, record: Any, context: Any) -> dict[str, Any]:
        del context
        return {"order_id": record["id"]}


class Lines(Stream):
    """Two lines of each order."""

    name = "lines"
    primary_keys = ("order_id", "number")
    parent_stream_type = Orders
    schema = th.PropertiesList(
        th.Property("order_id", th.IntegerType),
        th.Property("number", th.IntegerType),
        th.Property("sku", th.StringType),
    ).to_dict()

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        for number in range(2):
            yield {"order_id": context["order_id"], "number": number, "sku": f"sku {number}"}


class Customers(Stream):
    """So many customers; all that is known of them is text."""

    name = "customers"
    primary_keys = ("email",)
    schema = th.PropertiesList(th.Property("email", th.StringType), th.Property("name", th.StringType)).to_dict()

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        del context
        for number in range(self.config["customers"]):
            yield {"email": f"customer-{number}@example.com", "name": f"Customer {number}"}


class Visits(Stream):
    """Visits that come in, one after another, a fifth of a second apart."""

    name = "visits"
    primary_keys = ("id",)
    schema = th.PropertiesList(th.Property("id", th.IntegerType)).to_dict()

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        del context
        for number in range(self.config["visits"]):
            time.sleep(0.2)
            yield {"id": number}


class TapShop(Tap):
    """The tap."""

    name = "tap-shop"
    config_jsonschema = th.PropertiesList(
        *(th.Property(name, th.IntegerType, default=0) for name in ("orders", "customers", "visits"))
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        streams = {"orders": (Orders, Lines), "customers": (Customers,), "visits": (Visits,)}
        return [stream(self) for name, those in streams.items() if self.config[name] for stream in those]


if __name__ == "__main__":
    TapShop.cli()
