"""A keeper that takes everything and stores nothing: for the reader's own figures."""

from collections import Counter

from aiohttp import web

HAS: Counter[str] = Counter()


async def sync(request: web.Request) -> web.Response:
    asked = await request.json()
    return web.json_response({"pods": {uid: {"number": HAS[uid]} for uid in asked["pods"]}})


async def take(request: web.Request) -> web.Response:
    await request.read()
    HAS[request.query["pod"]] += 1
    return web.json_response({"number": HAS[request.query["pod"]]}, status=201)


def main() -> None:
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/sync", sync)
    app.router.add_post("/v1/frames", take)

    async def tell(_app: web.Application) -> None:
        print(f"http://127.0.0.1:{PORT}", flush=True)

    app.on_startup.append(tell)
    web.run_app(app, host="127.0.0.1", port=PORT, print=None, access_log=None)


PORT = 18099

if __name__ == "__main__":
    main()
