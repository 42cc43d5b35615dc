#!/usr/bin/env python3
"""Keeps every summary that is posted to it: a line of JSON for each request."""

import http.server
import json


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        line = {"key": self.headers.get("Idempotency-Key"), "summary": json.loads(body)}
        with open("summaries.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", 8087), Receiver).serve_forever()
