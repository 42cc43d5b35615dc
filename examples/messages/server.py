#!/usr/bin/env python3
"""A mail server and a Slack for the example: keep every message in messages.txt and deliver none."""

import http.server
import json
import socketserver
import threading


def keep(text):
    with open("messages.txt", "ab") as file:
        file.write(text + b"\n")


class Post(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        self.say("220 post")
        for line in self.rfile:
            verb = line.split()[:1]
            if verb == [b"DATA"]:
                self.say("354 go on")
                keep(b"".join(iter(self.rfile.readline, b".\r\n")))
                self.say("250 taken")
            elif verb == [b"QUIT"]:
                return self.say("221 bye")
            else:
                self.say("250 fine")


class Slack(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        keep(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        answer = {"ok": True, "ts": "1764000000.000100", "channel": "C0RELEASES"}
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_):
        pass


socketserver.ThreadingTCPServer.allow_reuse_address = True
slack = http.server.ThreadingHTTPServer(("127.0.0.1", 2588), Slack)
threading.Thread(target=slack.serve_forever, daemon=True).start()
socketserver.ThreadingTCPServer(("127.0.0.1", 2587), Post).serve_forever()
