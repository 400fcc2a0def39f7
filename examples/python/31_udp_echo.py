import asyncio
import sys


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


async def echo(port):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", port))
    host, port = transport.get_extra_info("sockname")
    print(f"listening on {host}:{port}", flush=True)
    await asyncio.Event().wait()


try:
    asyncio.run(echo(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
except KeyboardInterrupt:
    sys.exit(130)
