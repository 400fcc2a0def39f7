import asyncio
import sys

QUESTION = b"who is there?"


class Offer(asyncio.DatagramProtocol):
    def __init__(self, service):
        self.service = service

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        if data == QUESTION:
            self.transport.sendto(self.service.encode(), address)


async def offer(service, port, address):
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Offer(service), (address, port), reuse_port=True, allow_broadcast=True
    )
    host, port = transport.get_extra_info("sockname")
    print(f"offering {service} on {host}:{port}", flush=True)
    await asyncio.Event().wait()


class Collect(asyncio.DatagramProtocol):
    def datagram_received(self, data, address):
        print(f"{data.decode()} at {address[0]}", flush=True)


async def find(port, everybody):
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Collect, local_addr=("0.0.0.0", 0), allow_broadcast=True
    )
    transport.sendto(QUESTION, (everybody, port))
    await asyncio.sleep(1)


async def program(words):
    words = words or ["find"]
    offers = words[0] == "offer"
    rest = 3 if offers else 1
    if len(words) < rest:
        sys.exit("usage: offer NAME PORT [...] | find [...]")
    if len(words) == rest:
        words.append("9996")
    if len(words) == rest + 1:
        words.append("0.0.0.0" if offers else "255.255.255.255")
    if offers:
        await offer(f"{words[1]} {words[2]}", int(words[rest]), words[rest + 1])
    else:
        await find(int(words[rest]), words[rest + 1])


try:
    asyncio.run(program(sys.argv[1:]))
except KeyboardInterrupt:
    sys.exit(130)
