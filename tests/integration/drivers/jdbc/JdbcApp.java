// The script of README.md with pgjdbc: unnamed statements that become named ones after five executions, batches, fetch sizes, COPY,
// metadata.
import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.Arrays;
import java.util.StringJoiner;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.util.PSQLException;

public class JdbcApp {
    static final long FIRST = 1_000_000;
    static String column;

    interface Work {
        void run() throws Exception;
    }

    static void say(String step, Object... values) {
        System.out.println(step + " " + Arrays.deepToString(values));
    }

    static void failing(String step, Work work) throws Exception {
        try {
            work.run();
            say(step, "no error");
        } catch (SQLException error) {
            SQLException told = error instanceof BatchUpdateException ? error.getNextException() : error;
            var server = told instanceof PSQLException ? ((PSQLException) told).getServerErrorMessage() : null;
            say(step, told.getSQLState(), server == null ? told.getMessage() : server.getMessage(),
                server == null ? 0 : server.getPosition());
        }
    }

    static String rows(ResultSet rows) throws SQLException {
        ResultSetMetaData meta = rows.getMetaData();
        StringJoiner all = new StringJoiner("; ");
        while (rows.next()) {
            StringJoiner row = new StringJoiner(", ");
            for (int i = 1; i <= meta.getColumnCount(); i++) {
                Object value = rows.getObject(i);
                row.add(meta.getColumnLabel(i) + "=" + (value instanceof byte[] ? Arrays.toString((byte[]) value) : value));
            }
            all.add(row.toString());
        }
        return all.toString();
    }

    static void statements(Connection conn) throws Exception {
        try (PreparedStatement s = conn.prepareStatement("SELECT ?::int, ?::text, ?::numeric, ?::bytea, ?::text[], ?::bool, ?::float8")) {
            for (int i = 0; i < 7; i++) {
                s.setInt(1, 7 + i);
                s.setString(2, "héllo ' \\ $1");
                s.setBigDecimal(3, new BigDecimal("12.3400"));
                s.setBytes(4, new byte[] {0, 1, -1});
                s.setArray(5, conn.createArrayOf("text", new String[] {"x", null}));
                s.setNull(6, java.sql.Types.BOOLEAN);
                s.setDouble(7, 1.5);
                say("types", rows(s.executeQuery()));
            }
        }
        try (PreparedStatement s = conn.prepareStatement("SELECT " + column + ", city FROM users WHERE user_id = ?")) {
            for (int i = 0; i < 12; i++) {
                s.setLong(1, i + 1);
                say("read", rows(s.executeQuery()));
            }
        }
        try (PreparedStatement s = conn.prepareStatement("INSERT INTO users (user_id, " + column + ") VALUES (?, ?)",
                                                         new String[] {"user_id", column, "city"})) {
            s.setLong(1, FIRST);
            s.setString(2, "first");
            say("insert", s.executeUpdate(), rows(s.getGeneratedKeys()));
        }
        try (PreparedStatement s = conn.prepareStatement("INSERT INTO users (user_id, " + column + ") VALUES (?, ?)")) {
            for (int n = 1; n < 500; n++) {
                s.setLong(1, FIRST + n);
                s.setString(2, "many " + n);
                s.addBatch();
            }
            say("batch", Arrays.stream(s.executeBatch()).sum());
            s.setLong(1, FIRST + 600);
            s.setString(2, "good");
            s.addBatch();
            s.setLong(1, FIRST);
            s.setString(2, "twice");
            s.addBatch();
            failing("bad batch", s::executeBatch);
        }
    }

    static void errors(Connection conn) throws Exception {
        try (Statement s = conn.createStatement()) {
            say("update", s.executeUpdate("UPDATE users SET " + column + " = upper(" + column + ") WHERE user_id = " + FIRST));
            failing("syntax", () -> s.executeQuery("SELECT " + column + " FRM users"));
            failing("no column", () -> s.executeQuery("SELECT " + column + ", nothing FROM users"));
            s.execute("SELECT 1 AS one; SELECT " + column + " FROM users WHERE user_id = 3; UPDATE users SET city = city WHERE user_id = 3");
            say("multi", rows(s.getResultSet()), s.getMoreResults(), rows(s.getResultSet()), s.getMoreResults(), s.getUpdateCount());
        }
    }

    static void transactions(Connection conn) throws Exception {
        conn.setAutoCommit(false);
        try (Statement s = conn.createStatement()) {
            s.executeUpdate("UPDATE users SET " + column + " = 'gone' WHERE user_id = 1");
            Savepoint savepoint = conn.setSavepoint();
            failing("in transaction", () -> s.executeQuery("SELECT 1/0"));
            failing("aborted", () -> s.executeQuery("SELECT 1"));
            conn.rollback(savepoint);
            say("after savepoint", rows(s.executeQuery("SELECT " + column + " FROM users WHERE user_id = 1")));
            conn.rollback();
            s.setFetchSize(300);
            long total = 0;
            try (ResultSet r = s.executeQuery("SELECT user_id, " + column + " FROM users ORDER BY user_id")) {
                while (r.next())
                    total += r.getLong(1) * 31 + r.getString(2).length();
            }
            say("streamed", total);
            conn.commit();
        }
        conn.setAutoCommit(true);
    }

    static void copies(Connection conn) throws Exception {
        var copy = conn.unwrap(PGConnection.class).getCopyAPI();
        StringBuilder in = new StringBuilder();
        for (int n = 1000; n < 3000; n++)
            in.append(FIRST + n).append("\tcopied ").append(n).append('\n');
        say("copied", copy.copyIn("COPY users (user_id, " + column + ") FROM STDIN", new StringReader(in.toString())));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        copy.copyOut("COPY (SELECT user_id, " + column + " FROM users WHERE user_id >= " + (FIRST + 2990) + ") TO STDOUT", out);
        say("copy out", out);
    }

    static void asides(Connection conn) throws Exception {
        try (Statement s = conn.createStatement()) {
            s.execute("LISTEN told");
            s.execute("NOTIFY told, 'something'");
            for (PGNotification n : conn.unwrap(PGConnection.class).getNotifications())
                say("notify", n.getName(), n.getParameter());
            Thread canceller = new Thread(() -> {
                try {
                    Thread.sleep(300);
                    s.cancel();
                } catch (SQLException | InterruptedException error) {
                    say("cancel", error);
                }
            });
            canceller.start();
            failing("cancel", () -> s.executeQuery("SELECT pg_sleep(60)"));
            // The server signals twice for a cancel: what follows waits until that is over.
            canceller.join();
            try (ResultSet r = conn.getMetaData().getColumns(null, "public", "cities", "%")) {
                while (r.next())
                    say("metadata", r.getString("COLUMN_NAME"), r.getString("TYPE_NAME"));
            }
        }
        try (PreparedStatement s = conn.prepareStatement("SELECT repeat('x', 3000000) || ?")) {
            s.setString(1, "y".repeat(1_000_000));
            ResultSet r = s.executeQuery();
            r.next();
            say("large", r.getString(1).length());
        }
        try (PreparedStatement s = conn.prepareStatement("DELETE FROM users WHERE user_id BETWEEN ? AND ?")) {
            s.setLong(1, FIRST + 1);
            s.setLong(2, FIRST + 250);
            say("delete", s.executeUpdate());
        }
    }

    public static void main(String[] args) throws Exception {
        column = args[1];
        try (Connection conn = DriverManager.getConnection(args[0])) {
            statements(conn);
            errors(conn);
            transactions(conn);
            copies(conn);
            asides(conn);
        }
    }
}
