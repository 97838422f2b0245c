"""A verifier in another language, written from the specifications alone: RFC 6962, RFC 8032
and C2SP's signed-note, tlog-checkpoint, tlog-tiles, tlog-proof and tlog-cosignature. Needs
nothing but Python.

    verify.py note  HEAD VKEY...          prints who signed it
    verify.py tiles HEAD VKEY TILE...     the leaf tiles, in order, have the root of the head
    verify.py proof PROOF ENTRY VKEY...   the entry stands in the log
    verify.py fork  FORK                  two heads of one log contradict each other

Ends with 0 if it holds and 1 if not; the first line says what was found.
"""

import base64
import hashlib
import json
import struct
import sys

# Ed25519 (RFC 8032, 5.1), slow and plain.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def x_of(y, sign):
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    x = x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number, p):
    q = (0, 1, 1, 0)
    while number:
        if number & 1:
            q = add(q, p)
        p, number = add(p, p), number >> 1
    return q


def same(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (x_of(BASE_Y, 0), BASE_Y, 1, x_of(BASE_Y, 0) * BASE_Y % P)


def ed25519(key, message, signature):
    if len(signature) != 64:
        return False
    a, r = point(key), point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L or same(times(8, a), (0, 1, 1, 0)):
        return False
    h = hashlib.sha512(signature[:32] + key + message).digest()
    return same(times(s, BASE), add(r, times(int.from_bytes(h, "little") % L, a)))


class Wrong(Exception):
    pass


def need(holds, why):
    if not holds:
        raise Wrong(why)


# signed-note
def vkey(text):
    name, ident, key = text.split("+", 2)
    key = base64.b64decode(key, validate=True)
    mine = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    need(mine.hex() == ident, "the key's id")
    need(key[0] in (1, 4) and len(key) == 33, "the key's kind")
    return name, mine, key[0], key[1:]


def note(text):
    body, below = text.rsplit("\n\n", 1)
    need(below.endswith("\n"), "the note's end")
    lines = []
    for line in below[:-1].split("\n"):
        dash, name, signature = line.split(" ")
        need(dash == "\u2014", "a signature line")
        signature = base64.b64decode(signature, validate=True)
        lines.append((name, signature[:4], signature[4:]))
    return body + "\n", lines


def signed(text, keys):
    body, lines = note(text)
    found = []
    for name, ident, signature in lines:
        for known, mine, kind, key in keys:
            if (known, mine) != (name, ident):
                continue
            message = body.encode()
            if kind == 4:
                (seconds,) = struct.unpack(">Q", signature[:8])
                message = f"cosignature/v1\ntime {seconds}\n".encode() + message
                signature = signature[8:]
            need(ed25519(key, message, signature), f"the signature of {name}")
            found.append(name)
    need(found, "nobody who is known has signed it")
    return body, found


def checkpoint(body):
    origin, size, root, end = body.split("\n")
    need(end == "" and str(int(size)) == size, "the checkpoint")
    root = base64.b64decode(root, validate=True)
    need(len(root) == 32, "the root")
    return origin, int(size), root


# RFC 6962
def leaf(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def tree(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node(tree(leaves[:half]), tree(leaves[half:]))


def root_by(hash, index, size, proof):
    """The root that a proof leads to, by the definition of the audit path."""
    need(index < size, "the index")

    def walk(index, size, proof):
        if size == 1:
            need(not proof, "a longer proof than there is a way")
            return hash
        need(proof, "a shorter proof than there is a way")
        half = 1
        while half * 2 < size:
            half *= 2
        if index < half:
            return node(walk(index, half, proof[:-1]), proof[-1])
        return node(proof[-1], walk(index - half, size - half, proof[:-1]))

    return walk(index, size, proof)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def run(what, args):
    if what == "note":
        body, found = signed(read(args[0]).decode(), [vkey(key) for key in args[1:]])
        origin, size, _ = checkpoint(body)
        return f"{origin} {size}: {' '.join(found)}"
    if what == "tiles":
        body, _ = signed(read(args[0]).decode(), [vkey(args[1])])
        origin, size, root = checkpoint(body)
        nodes = b"".join(read(path) for path in args[2:])
        leaves = [nodes[at : at + 32] for at in range(0, len(nodes), 32)]
        need(len(leaves) == size, "the number of leaves")
        need(tree(leaves) == root, "the root")
        return f"{origin} {size}: the tiles have its root"
    if what == "proof":
        head, rest = read(args[0]).decode().split("\n\n", 1)
        lines = head.split("\n")
        need(lines[0] == "c2sp.org/tlog-proof@v1", "the first line")
        lines = [line for line in lines[1:] if not line.startswith("extra ")]
        need(lines[0].startswith("index "), "the index")
        index, proof = int(lines[0][6:]), [base64.b64decode(l, validate=True) for l in lines[1:]]
        body, found = signed(rest, [vkey(key) for key in args[2:]])
        origin, size, root = checkpoint(body)
        need(root_by(leaf(read(args[1])), index, size, proof) == root, "the entry is not in it")
        return f"{origin} {size}: entry {index}, signed by {' '.join(found)}"
    if what == "fork":
        fork = json.loads(read(args[0]))
        need(fork["form"] == "liandong fork v1", "the form")
        key = vkey(fork["key"])
        (one, two) = [checkpoint(signed(head, [key])[0]) for head in fork["heads"]]
        need(one[0] == two[0] == key[0], "of one log")
        need(one[1] == two[1] and one[2] != two[2], "they do not contradict each other")
        return f"{one[0]} {one[1]}: forked"
    raise Wrong("usage")


if __name__ == "__main__":
    try:
        print(run(sys.argv[1], sys.argv[2:]))
    except (Wrong, ValueError, KeyError, IndexError) as why:
        print(f"does not hold: {why}")
        sys.exit(1)
