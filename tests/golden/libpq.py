"""Just enough of libpq, by ctypes: results as a client sees them, with types, tags and SQLSTATEs."""

import ctypes
import ctypes.util
from dataclasses import dataclass, field

_pq = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
_pointer, _string, _int = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
for _name, _result, _arguments in [
    ("PQconnectdb", _pointer, [_string]), ("PQfinish", None, [_pointer]), ("PQstatus", _int, [_pointer]),
    ("PQerrorMessage", _string, [_pointer]), ("PQsendQuery", _int, [_pointer, _string]),
    ("PQsendQueryParams", _int, [_pointer, _string, _int, _pointer, _pointer, _pointer, _pointer, _int]),
    ("PQgetResult", _pointer, [_pointer]), ("PQclear", None, [_pointer]), ("PQresultStatus", _int, [_pointer]),
    ("PQcmdStatus", _string, [_pointer]), ("PQresultErrorField", _string, [_pointer, _int]),
    ("PQnfields", _int, [_pointer]), ("PQntuples", _int, [_pointer]), ("PQfname", _string, [_pointer, _int]),
    ("PQftype", ctypes.c_uint, [_pointer, _int]), ("PQfmod", _int, [_pointer, _int]),
    ("PQgetisnull", _int, [_pointer, _int, _int]), ("PQgetvalue", _string, [_pointer, _int, _int]),
    ("PQprepare", _pointer, [_pointer, _string, _string, _int, _pointer]),
    ("PQdescribePrepared", _pointer, [_pointer, _string]), ("PQnparams", _int, [_pointer]),
    ("PQparamtype", ctypes.c_uint, [_pointer, _int]), ("PQtransactionStatus", _int, [_pointer]),
    ("PQgetCopyData", _int, [_pointer, _pointer, _int]), ("PQputCopyEnd", _int, [_pointer, _string]),
    ("PQfreemem", None, [_pointer]), ("PQsetNoticeProcessor", _pointer, [_pointer, _pointer, _pointer]),
]:
    _function = getattr(_pq, _name)
    _function.restype, _function.argtypes = _result, _arguments

_COPY_OUT, _COPY_IN, _FATAL, _SQLSTATE, _MESSAGE = 3, 4, 7, ord("C"), ord("M")
_QUIET = ctypes.CFUNCTYPE(None, _pointer, _string)(lambda context, text: None)


@dataclass
class Result:
    tag: str = ""
    sqlstate: str = ""
    message: str = field(default="", compare=False)
    columns: tuple = ()  # (label, type OID, type modifier)
    rows: list = field(default_factory=list)


class Connection:
    def __init__(self, conninfo):
        self._conn = _pq.PQconnectdb(conninfo.encode())
        if _pq.PQstatus(self._conn) != 0:
            raise RuntimeError(_pq.PQerrorMessage(self._conn).decode())
        _pq.PQsetNoticeProcessor(self._conn, ctypes.cast(_QUIET, _pointer), None)

    def close(self):
        _pq.PQfinish(self._conn)

    def in_transaction(self):
        return _pq.PQtransactionStatus(self._conn) != 0

    def query(self, sql, parameters=None):
        """All results of one message."""
        if parameters is None:
            sent = _pq.PQsendQuery(self._conn, sql.encode())
        else:
            values = (_string * len(parameters))(*[None if p is None else p.encode() for p in parameters])
            sent = _pq.PQsendQueryParams(self._conn, sql.encode(), len(parameters), None, values, None, None, 0)
        if not sent:
            raise RuntimeError(_pq.PQerrorMessage(self._conn).decode())
        results = []
        while result := _pq.PQgetResult(self._conn):
            status = _pq.PQresultStatus(result)
            if status == _COPY_IN:
                # No rows. How many columns are asked for is for the session to put right: it changes the data, too.
                results.append(Result())
                _pq.PQputCopyEnd(self._conn, None)
            else:
                results.append(Result(rows=self._copy_out()) if status == _COPY_OUT else self._read(result))
            _pq.PQclear(result)
        return results

    def _copy_out(self):
        rows, data = [], _pointer()
        while (size := _pq.PQgetCopyData(self._conn, ctypes.byref(data), 0)) > 0:
            rows.append(ctypes.string_at(data, size).decode(errors="backslashreplace"))
            _pq.PQfreemem(data)
        return rows

    def must(self, sql):
        """For set-up: every statement has to work."""
        results = self.query(sql)
        for result in results:
            if result.sqlstate:
                raise RuntimeError(f"{result.sqlstate}: {result.message}\n{sql}")
        return results

    def parameter_types(self, sql):
        """As Describe tells a driver; None when the statement cannot be prepared."""
        prepared = _pq.PQprepare(self._conn, b"p", sql.encode(), 0, None)
        failed = _pq.PQresultStatus(prepared) == _FATAL
        _pq.PQclear(prepared)
        if failed:
            return None
        described = _pq.PQdescribePrepared(self._conn, b"p")
        types = [_pq.PQparamtype(described, i) for i in range(_pq.PQnparams(described))]
        _pq.PQclear(described)
        self.must("DEALLOCATE p")
        return types

    @staticmethod
    def _read(result):
        def text(raw):
            return (raw or b"").decode()

        columns = tuple((text(_pq.PQfname(result, i)), _pq.PQftype(result, i), _pq.PQfmod(result, i))
                        for i in range(_pq.PQnfields(result)))
        rows = [tuple(None if _pq.PQgetisnull(result, r, c) else text(_pq.PQgetvalue(result, r, c))
                      for c in range(len(columns))) for r in range(_pq.PQntuples(result))]
        return Result(tag=text(_pq.PQcmdStatus(result)), sqlstate=text(_pq.PQresultErrorField(result, _SQLSTATE)),
                      message=text(_pq.PQresultErrorField(result, _MESSAGE)), columns=columns, rows=rows)
