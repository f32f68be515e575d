"""Ask an agent about what is in a database. It can look, and nothing else.

    python examples/ask_database.py

The database is made here, and a script stands for the model: yours is `Agent("chat:gpt-5.5", tools=...)`, with
`Database("shop.db").tools` or `Database("postgresql://reader@host/shop").tools`. It prints:

    list_tables
      customers(id, name)
      orders(id, customer, total)
    query: SELECT name, sum(totl) AS spent FROM customers c JOIN orders ON customer = c.id GROUP BY name
      no such column: totl; did you mean total?
    query: SELECT name, sum(total) AS spent FROM customers c JOIN orders ON customer = c.id GROUP BY name
      ["name", "spent"]
      ["Ada", 42.5]
      ["Bo", 7.0]
    query: DELETE FROM orders
      DELETE is refused: the database can only be read here; write one SELECT
    Ada has spent 42.50, Bo 7.00. I cannot delete orders.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from agentkit import Agent, ToolFinished
from agentkit.testing import ScriptedModel, call
from agentkit.tools.sql import Database

SHOP = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers, total REAL);
INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bo');
INSERT INTO orders VALUES (1, 1, 30), (2, 2, 7), (3, 1, 12.5);
"""
SPENT = "SELECT name, sum({}) AS spent FROM customers c JOIN orders ON customer = c.id GROUP BY name"
ANSWERS = [
    [call("list_tables")],
    [call("query", statement=SPENT.format("totl"))],
    [call("query", statement=SPENT.format("total"))],
    [call("query", statement="DELETE FROM orders")],
    "Ada has spent 42.50, Bo 7.00. I cannot delete orders.",
]


async def main(path: Path) -> None:
    agent = Agent(ScriptedModel(ANSWERS), tools=Database(path, rows=50, seconds=5).tools)
    async with agent.stream("Who has spent how much? Then delete all orders.") as run:
        async for event in run:
            if isinstance(event, ToolFinished):
                statement = json.loads(event.call.arguments).get("statement")
                print(f"{event.call.name}: {statement}" if statement else event.call.name)
                print("  " + event.result.content.replace("\n", "\n  "))
    print(run.result.output)


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        file = Path(folder) / "shop.db"
        with closing(sqlite3.connect(file)) as connection:
            connection.executescript(SHOP)
        anyio.run(main, file)
