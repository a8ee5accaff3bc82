"""The two ends of the comparison: a session through segue and one on the twin's database, and what a client sees of each."""

import struct

from wire import Wire, cstr, error_fields, message

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)


class Session(Wire):
    """Sends without waiting; reads answers message by message as raw bytes."""

    def answers(self, count):
        """The next `count` answers, each up to its ReadyForQuery: lists of (kind, body)."""
        found, current = [], []
        buffer, at = self.buffer, 0
        while len(found) < count:
            end = len(buffer)
            while at + 5 <= end:
                size = int.from_bytes(buffer[at + 1:at + 5], "big")
                if at + 1 + size > end:
                    break
                kind = buffer[at:at + 1]
                current.append((kind, buffer[at + 5:at + 1 + size]))
                at += 1 + size
                if kind == b"Z":
                    found.append(current)
                    current = []
                    if len(found) == count:
                        break
            if len(found) < count:
                more = self.socket.recv(1 << 18)
                if not more:
                    last = [error_fields(b) for k, b in current if k == b"E"]
                    raise ConnectionError(f"the connection was closed; {last}")
                buffer, at = buffer[at:] + more, 0
        self.buffer = buffer[at:]
        return found


class Sent:
    """A case as it was sent to one side: its messages, and how many answers they have."""

    def __init__(self, case, twin):
        messages, answers = [message(b"Q", b"BEGIN; SELECT oracle_reset()\0")], 1
        self.steps, self.texts = [], []  # which answers belong to which step; its text
        for i, (step, (sql, values)) in enumerate(zip(case.steps, case.texts(twin))):
            first = answers
            self.texts.append(sql)
            if case.mode == "simple":
                messages.append(message(b"Q", cstr(sql)))
                for pieces in step.data:
                    messages += [message(b"d", piece) for piece in pieces] + [message(b"c")]
                answers += 1
            else:
                name = f"s{i}" if case.mode == "named" else ""
                oids = [value.oid() for value in values] if case.declares else ()
                messages.append(message(b"P", cstr(name) + cstr(sql) + struct.pack(f"!h{len(oids)}i", len(oids), *oids)))
                if name:
                    messages.append(message(b"S"))
                    answers += 1
                execute = message(b"E", b"\0" + struct.pack("!i", case.at_once))
                describe = message(b"D", b"P\0" if case.describes_portal else b"S" + cstr(name))
                bound = bind(name, values, case.binary)
                messages += [bound, describe, execute] if case.describes_portal else [describe, bound, execute]
                messages += [execute] * bool(case.at_once) + [message(b"S")]
                answers += 1
                if name:
                    messages += [message(b"C", b"S" + cstr(name)), message(b"S")]
                    answers += 1
            self.steps.append(range(first, answers))
        messages += [message(b"Q", b"SELECT oracle_state()\0"), message(b"Q", b"ROLLBACK\0"), message(b"Q", b"SELECT oracle_repaired()\0")]
        self.state, self.repaired = answers, answers + 2
        answers += 3
        if case.leaves_statements:
            messages.append(message(b"Q", b"DEALLOCATE ALL\0"))
            answers += 1
        self.bytes, self.answers = b"".join(messages), answers


def bind(name, values, binary):
    sent = [value.binary() if binary else None for value in values]
    formats = [packed is not None for packed in sent]
    body = [b"\0", cstr(name), struct.pack(f"!h{len(values)}hh", len(values), *formats, len(values))]
    for value, packed in zip(values, sent):
        text = value.sent()
        data = packed if packed is not None else None if text is None else text.encode()
        body.append(b"\xff\xff\xff\xff" if data is None else struct.pack("!i", len(data)) + data)
    body.append(b"\0\1\0\1" if binary else b"\0\0")
    return message(b"B", b"".join(body))


def row_description(body):
    """Labels, types, modifiers, formats; not where a column comes from."""
    found, at = [], 2
    for _ in range(int.from_bytes(body[:2], "big")):
        end = body.index(b"\0", at)
        found.append((body[at:end].decode(), body[end + 7:end + 19]))
        at = end + 19
    return found


def seen(answers, step, loose, is_same_text):
    """What a client sees of a step. loose: which rule was broken does not matter, only that one was. is_same_text: both sides
    were sent the same, so an error is at the same place of it."""
    found, rows = [], []
    for messages in answers:
        for kind, body in messages:
            if kind in (b"D", b"d"):
                # A binary COPY's first row comes with the header.
                rows.append(body[len(COPY_HEADER):] if body.startswith(COPY_HEADER) else body)
                continue
            if rows and kind in (b"C", b"E", b"c", b"s"):
                found.append(("rows", (rows if step.ordered else sorted(rows)) if step.tells else None))
                rows = []
            if kind == b"T":
                found.append(("labels", row_description(body)))
            elif kind == b"E":
                fields = error_fields(body)
                code = fields["C"]
                found.append(("error", "a row's fault" if loose and code[:2] in ("21", "22", "23") else code))
                if is_same_text and not loose:
                    found.append(("position", fields.get("P")))
            elif kind in (b"C", b"t", b"n", b"I", b"Z", b"s", b"G", b"H"):
                found.append((kind.decode(), body))
    return found


def sqlstates(answers):
    return [error_fields(body)["C"] for messages in answers for kind, body in messages if kind == b"E"]


def refusal(answers):
    """What segue says of a statement that it does not rewrite; None."""
    for messages in answers:
        for kind, body in messages:
            if kind == b"E":
                fields = error_fields(body)
                if fields["C"] == "0A000" and fields["M"].startswith("segue"):
                    return fields["M"]
    return None


def state(answer):
    """The digests of the tables; None after an error."""
    for kind, body in answer:
        if kind == b"D":
            return body[6:].decode().strip("{}").split(",")
    return None


def repaired(answer):
    return next(body for kind, body in answer if kind == b"D")
