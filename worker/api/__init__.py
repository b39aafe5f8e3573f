"""The HTTP face of the routing system: `routing-sync serve`.

It works through ports, as every other room: the use case `handlers/work_item_update.py`, the reads of work-items, the
waiting times. It alone knows FastAPI, Starlette and uvicorn. The process that makes its adapters is
worker/api_process.py.

| room or file | holds |
|---|---|
| `app` | the application: every route, and the schema at `/openapi.json` |
| `gate` | what every request passes before a route: token, rate, size, time |
| `callers` | who sent a request, by its token, and what they may do |
| `rate` | how many requests a client may send |
| `errors` | the answers to requests that cannot be done |
| `bodies` | request bodies, and the answers' form |
| `room` | the room for what is under way at the same time |
| `schemas` | parts of the routes' schemas |
| `work_items/` | the routes of work-items, and the updates under way |
| `waiting_times/` | the routes of waiting times, and a range of time as a client writes it |
| `timeline` | the route of a conversation's timeline |
| `pages/` | the status page, and the page of a pair |
| `readiness` | `/healthz` and `/readyz` |
| `server` | uvicorn, which listens and stops |
"""
