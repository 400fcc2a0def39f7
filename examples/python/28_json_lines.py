import asyncio
import json

ITEMS = [
    {"what": "apples", "count": 3, "price": 0.5},
    {"what": "pears", "count": 2, "price": 0.75},
    {"what": "plums", "count": 10, "price": 0.1},
]


async def cash_desk(reader, writer):
    for item in ITEMS:
        writer.write(json.dumps(item).encode() + b"\n")
    await writer.drain()
    writer.close()


async def shop():
    server = await asyncio.start_server(cash_desk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    total = 0
    async for line in reader:
        item = json.loads(line)
        print(f"{item['what']} {item['count']} at {item['price']:.2f}")
        total += item["count"] * item["price"]
    print(f"total {total:.2f}")
    writer.close()
    server.close()


asyncio.run(shop())
