#!/usr/bin/env python3
"""Egress as an operator grants it: refused before, carried after, gone when taken back."""
import socket
import threading

import support

HANDLER = """
import socket
def handler(event, context):
    host, port = event.decode().split(":")
    try:
        with socket.create_connection((host, int(port)), 5) as s:
            return s.recv(100)
    except OSError as error:
        return type(error).__name__
"""


def answer_every_caller(listener):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"reached")


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=answer_every_caller, args=(listener,), daemon=True).start()
    place = f"localhost:{listener.getsockname()[1]}"
    mayfly = support.Mayfly()
    try:
        fc = mayfly.fc()
        fc.create_service("shop")
        fc.create_function("shop", "orders", "python3", "index.handler", codeZipFile=support.zip_file({"index.py": HANDLER}), timeout=10)

        def call():
            return fc.invoke_function("shop", "orders", payload=place.encode()).data.decode()

        def egress(*options, check=True):
            return mayfly.cli("egress", "shop/orders", *options, check=check)

        assert egress().stdout == "shop/orders reaches the platform and nothing else\n"
        assert call() == "ConnectionRefusedError", call()
        assert egress("--allow", place).stdout == place + "\n"
        assert call() == "reached", call()
        refused = egress("--allow", "169.254.169.254:80", check=False)
        assert refused.returncode != 0 and "metadata" in refused.stderr, refused
        assert mayfly.cli_json("egress", "shop/orders") == {"egress": [place]}
        fc.update_function("shop", "orders", description="the vendor's API keeps what it does not know")
        assert call() == "reached", call()
        egress("--deny", place)
        assert call() == "ConnectionRefusedError", call()
    finally:
        mayfly.close()
        listener.close()


if __name__ == "__main__":
    main()
