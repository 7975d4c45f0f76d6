"""A little web shop that is VULNERABLE ON PURPOSE: for the tests of this directory's `shop.sql` only. Never copy from it.

Whatever a request says is pasted into SQL, in every place where applications do that: as a number, in quotes, inside LIKE,
in parentheses, behind ORDER BY and LIMIT, in INSERT and UPDATE, from a cookie. The database's errors are shown. What is pasted
goes by the simple query protocol, so that one request can hold several statements.

Connects by DATABASE_URL; listens on a free port of 127.0.0.1 and prints its address, and nothing else.
"""

import html
import http.server
import os
import sys
import urllib.parse

import psycopg
from psycopg_pool import ConnectionPool

# What is asked for each path, with the values of an ordinary request: a request may leave them out.
PAGES = {
    "/item": ("SELECT id, name, price FROM products WHERE id = {id}", {"id": "1"}),
    "/user": ("SELECT id, name, email FROM users WHERE name = '{name}'", {"name": "ada"}),
    "/search": ("SELECT id, name, price FROM products WHERE name LIKE '%{q}%' ORDER BY id", {"q": "lamp"}),
    "/list": ("SELECT id, name, price FROM products ORDER BY {sort}", {"sort": "name"}),
    "/page": ("SELECT id, name, price FROM products ORDER BY id LIMIT {size} OFFSET 0", {"size": "3"}),
    "/pick": ("SELECT id, name FROM products WHERE id IN ({ids}) ORDER BY id", {"ids": "1,2"}),
    "/offer": ("SELECT id, name FROM products WHERE (price < {below} AND (name = '{name}' OR id < 100)) ORDER BY id",
               {"below": "50", "name": "lamp"}),
    "/login": ("SELECT id, name FROM users WHERE name = '{name}' AND password = '{password}'",
               {"name": "ada", "password": "wrong"}),
    "/comment": ("INSERT INTO comments (product_id, body) VALUES ({product}, '{text}')", {"product": "1", "text": "nice"}),
    "/rate": ("UPDATE comments SET stars = {stars} WHERE id = {id}", {"stars": "4", "id": "1"}),
    "/me": ("SELECT name, email FROM users WHERE session = '{session}'", {"session": "s-ada"}),
}


def connect():
    # A statement that came often would be prepared, and a prepared one is a single one.
    def plain(connection):
        connection.prepare_threshold = None

    return ConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=8, timeout=20, open=True,
                          kwargs={"autocommit": True}, configure=plain)


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Otherwise the answer's last segment waits for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    pool = None

    def do_GET(self):
        self.page(urllib.parse.urlsplit(self.path).query)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.page(body.decode("utf-8", "replace"))

    def page(self, form):
        path = urllib.parse.urlsplit(self.path).path
        if path not in PAGES:
            self.answer(404, "<p>no such page</p>")
            return
        sql, values = PAGES[path]
        cookies = (cookie.strip().partition("=") for cookie in self.headers.get("Cookie", "").split(";"))
        said = {name: urllib.parse.unquote(value) for name, _, value in cookies}
        said |= dict(urllib.parse.parse_qsl(form, keep_blank_values=True))
        sql = sql.format(**{name: said.get(name, value) for name, value in values.items()})
        try:
            with self.pool.connection() as connection:
                # No parameters: the text goes as it is, by a Query message.
                self.answer(200, table(connection.execute(sql)))
        except psycopg.Error as error:
            self.answer(500, f"<pre>PostgreSQL says: ERROR:  {html.escape(str(error))}</pre>")

    def answer(self, status, content):
        body = f"<!DOCTYPE html><title>A little shop</title><h1>A little shop</h1>{content}".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def table(cursor):
    """The rows of the first result, or how many were written."""
    if cursor.description is None:
        return f"<p>{cursor.rowcount} written</p>"
    rows = ("<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row) + "</tr>" for row in cursor)
    return "<table>" + "".join(rows) + "</table>"


if __name__ == "__main__":
    Shop.pool = connect()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit()
