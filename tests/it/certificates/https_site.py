"""Serves one page on loopback with TLS, and prints the port. Takes a certificate and its key."""

import http.server
import ssl
import sys

PAGE = b"<title>secure</title><body>secure</body>"
# The list of references of a git repository, for `git ls-remote`.
REFERENCES = b"0123456789012345678901234567890123456789\trefs/heads/secure\n"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        is_git = "/info/refs" in self.path
        body = REFERENCES if is_git else PAGE
        self.send_response(200)
        self.send_header("Content-Type", "text/plain" if is_git else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """Clients that reject the certificate are expected."""


server = Server(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
# The handshake happens in the thread of the connection.
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
