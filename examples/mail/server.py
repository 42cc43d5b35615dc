#!/usr/bin/env python3
"""A mail server for the example: keeps every mail in mails.txt and delivers none."""

import socketserver


class Post(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        self.say("220 post")
        for line in self.rfile:
            verb = line.split()[:1]
            if verb == [b"DATA"]:
                self.say("354 go on")
                with open("mails.txt", "ab") as file:
                    for text in iter(self.rfile.readline, b".\r\n"):
                        file.write(text)
                self.say("250 taken")
            elif verb == [b"QUIT"]:
                return self.say("221 bye")
            else:
                self.say("250 fine")


socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", 2587), Post).serve_forever()
