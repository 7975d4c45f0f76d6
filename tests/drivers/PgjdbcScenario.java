// What an application on pgjdbc does. Connects by the PG... environment. The argument says what is in the way: `open`: nothing
// refuses (the server itself, or an observing firewall); `enforce`: a policy refuses DDL and more. The last line is the report
// that tests/drivers.rs reads.

import java.io.StringReader;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class PgjdbcScenario {
    // The server itself refuses this one with 42501, the firewall before it.
    static final String SECRETS = "SELECT rolname FROM pg_catalog.pg_authid";
    // The server would do this one.
    static final String DROP = "DROP TABLE orders";
    static final String SLEEP = "SELECT pg_sleep(60)";
    static final String SLEEPING = "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE wait_event = 'PgSleep'";
    static final String ENCRYPTED = "SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()";
    static final String PREPARED = "SELECT count(*) FROM pg_catalog.pg_prepared_statements";
    static final String ORDERS = "SELECT count(*) FROM orders";
    static final String MARKED = "SELECT count(*) FROM orders WHERE note = 'marked'";
    static final String MARK = "INSERT INTO orders (product_id, total, note) VALUES (1, 1, 'marked')";
    static final String UNMARK = "DELETE FROM orders WHERE note = 'marked'";

    static final boolean BINDING = "require".equals(System.getenv("PGCHANNELBINDING"));
    static final List<String> did = new ArrayList<>();
    static final Map<String, String> refusals = new LinkedHashMap<>();

    static Connection connect(String... more) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        properties.setProperty("sslmode", System.getenv("PGSSLMODE"));
        properties.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
        properties.setProperty("channelBinding", System.getenv("PGCHANNELBINDING"));
        for (int i = 0; i < more.length; i += 2) {
            properties.setProperty(more[i], more[i + 1]);
        }
        String place = System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        return DriverManager.getConnection("jdbc:postgresql://" + place, properties);
    }

    static Object value(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            rows.next();
            return rows.getObject(1);
        }
    }

    static void run(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    static void check(boolean holds, Object told) {
        if (!holds) {
            throw new AssertionError(told);
        }
    }

    interface Attempt {
        void make() throws Exception;
    }

    /** The error that it ends in, with this SQLSTATE. */
    static SQLException failure(String state, Attempt attempt) throws Exception {
        try {
            attempt.make();
        } catch (SQLException error) {
            if (!error.getSQLState().equals(state)) {
                throw error;
            }
            return error;
        }
        throw new AssertionError("it passed");
    }

    static String json(String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder quoted = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            quoted.append(c == '"' || c == '\\' ? "\\" + c : c < ' ' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
        }
        return quoted.append('"').toString();
    }

    /** What the error object says: how to get at each field, and what it is. */
    static void refused(String where, SQLException error, String path, PSQLException inner) {
        ServerErrorMessage told = inner.getServerErrorMessage();
        String server = path + ".getServerErrorMessage()";
        String[][] fields = {
            {"sqlstate", path + ".getSQLState()", inner.getSQLState()},
            {"message", server + ".getMessage()", told.getMessage()},
            {"detail", server + ".getDetail()", told.getDetail()},
            {"hint", server + ".getHint()", told.getHint()},
        };
        StringBuilder report = new StringBuilder("{\"type\": " + json(error.getClass().getName()));
        for (String[] field : fields) {
            report.append(", ").append(json(field[0])).append(": [").append(json(field[1])).append(", ").append(json(field[2])).append("]");
        }
        refusals.put(where, report.append("}").toString());
    }

    public static void main(String[] arguments) throws Exception {
        boolean enforced = arguments[0].equals("enforce");
        check(enforced || arguments[0].equals("open"), arguments[0]);
        Connection connection = connect();
        Connection watcher = connect();
        check(value(connection, ENCRYPTED).equals(true), "no TLS");
        failure("08006", () -> connect("sslrootcert", System.getenv("STRANGER")));
        did.add("TLS");

        try (PreparedStatement statement = connection.prepareStatement("SELECT name FROM products WHERE id = ?")) {
            // It gives a statement a name at the fifth use.
            for (int id = 1; id < 20; id++) {
                statement.setInt(1, id);
                ResultSet rows = statement.executeQuery();
                check(rows.next() && rows.getString(1).equals("product " + id), id);
            }
            check((Long) value(connection, PREPARED) >= 1, "no prepared statement");
        }
        try (Statement statement = connection.createStatement()) {
            check(statement.execute("SELECT 1; SELECT 2") && statement.getMoreResults(), "one result of two");
        }
        check(connection.getMetaData().getTables(null, "public", "orders", null).next(), "no orders");
        did.add("prepared statements");

        connection.setAutoCommit(false);
        run(connection, MARK);
        Savepoint savepoint = connection.setSavepoint();
        failure("23505", () -> run(connection, "INSERT INTO orders (id, product_id) VALUES (1, 1)"));
        connection.rollback(savepoint);
        connection.commit();
        check(value(watcher, MARKED).equals(1L), "not committed");
        run(connection, UNMARK);
        connection.rollback();
        run(connection, UNMARK);
        connection.commit();
        try (Statement statement = connection.createStatement()) {
            // A portal, read bit by bit.
            statement.setFetchSize(100);
            ResultSet rows = statement.executeQuery("SELECT id FROM orders");
            int count = 0;
            while (rows.next()) {
                count++;
            }
            check(count == 1000, count);
        }
        connection.commit();
        // A batch of one statement with many values.
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO orders (product_id, total, note) VALUES (?, ?, 'marked')")) {
            for (int id = 1; id <= 100; id++) {
                statement.setInt(1, id);
                statement.setInt(2, id);
                statement.addBatch();
            }
            check(Arrays.stream(statement.executeBatch()).sum() == 100, "not all of the batch");
        }
        connection.rollback();
        did.add("transactions");

        StringBuilder rows = new StringBuilder();
        for (int id = 500; id < 600; id++) {
            rows.append(id).append("\tcopied ").append(id).append("\t1\n");
        }
        var copy = connection.unwrap(PGConnection.class).getCopyAPI();
        check(copy.copyIn("COPY products (id, name, price) FROM STDIN", new StringReader(rows.toString())) == 100, "COPY FROM");
        StringWriter out = new StringWriter();
        check(copy.copyOut("COPY (SELECT id FROM products WHERE id >= 500) TO STDOUT", out) == 100, "COPY TO");
        check(out.toString().lines().count() == 100, out);
        connection.rollback();
        did.add("COPY");

        connection.setAutoCommit(true);
        Statement sleeping = connection.createStatement();
        CompletableFuture<SQLException> slept = CompletableFuture.supplyAsync(() -> {
            try {
                return failure("57014", () -> sleeping.execute(SLEEP));
            } catch (Exception error) {
                throw new RuntimeException(error);
            }
        });
        long deadline = System.nanoTime() + 30_000_000_000L;
        while (!value(watcher, SLEEPING).equals(1L)) {
            check(System.nanoTime() < deadline, "waited for thirty seconds");
            Thread.sleep(20);
        }
        sleeping.cancel();
        slept.get();
        check(value(connection, ORDERS).equals(1000L), "after the cancel");
        did.add("cancel");

        run(connection, "LISTEN news");
        run(watcher, "SELECT pg_notify('news', 'größe')");
        PGNotification[] heard = connection.unwrap(PGConnection.class).getNotifications(30_000);
        check(heard.length == 1 && heard[0].getName().equals("news") && heard[0].getParameter().equals("größe"), heard);
        check(heard[0].getPID() == watcher.unwrap(PGConnection.class).getBackendPID(), heard[0].getPID());
        did.add("LISTEN");

        String text = "größe ' ; -- ".repeat(300_000);
        byte[] bytes = new byte[4 << 20];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) i;
        }
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO documents VALUES (1, ?, ?)")) {
            statement.setString(1, text);
            statement.setBytes(2, bytes);
            statement.execute();
        }
        try (Statement statement = connection.createStatement()) {
            ResultSet row = statement.executeQuery("SELECT length(words), length(body), words, body FROM documents");
            row.next();
            check(row.getInt(1) == text.length() && row.getInt(2) == bytes.length, "the server has something else");
            check(row.getString(3).equals(text) && Arrays.equals(row.getBytes(4), bytes), "something else came back");
        }
        run(connection, "DELETE FROM documents");
        did.add("large values");

        connection.setAutoCommit(false);
        run(connection, MARK);
        Savepoint inner = connection.setSavepoint();
        failure("42501", () -> run(connection, SECRETS));
        connection.rollback(inner);
        check(value(connection, MARKED).equals(1L), "the savepoint did not hold");
        SQLException error = failure("42501", () -> connection.prepareStatement(SECRETS).executeQuery());
        refused("transaction", error, "error", (PSQLException) error);
        failure("25P02", () -> value(connection, "SELECT 1"));
        connection.rollback();
        check(value(connection, MARKED).equals(0L), "not rolled back");
        if (enforced) {
            failure("42501", () -> run(connection, DROP));
        } else {
            run(connection, DROP);
        }
        connection.rollback();
        check(value(connection, ORDERS).equals(1000L), "after the DROP");
        did.add("refusal in a transaction");

        // A batch is a pipeline: several statements, then one Sync.
        try (Statement statement = connection.createStatement()) {
            statement.addBatch(MARK);
            statement.addBatch(SECRETS);
            statement.addBatch(MARK);
            BatchUpdateException batch = (BatchUpdateException) failure("42501", statement::executeBatch);
            refused("pipeline", batch, "error.getNextException()", (PSQLException) batch.getNextException());
            check(Arrays.stream(batch.getUpdateCounts()).allMatch(count -> count == Statement.EXECUTE_FAILED), Arrays.toString(batch.getUpdateCounts()));
        }
        failure("25P02", () -> value(connection, "SELECT 1"));
        connection.rollback();
        check(value(connection, MARKED).equals(0L), "not rolled back");
        did.add("refusal in a pipeline");

        // The same by Query messages.
        try (Connection simple = connect("preferQueryMode", "simple")) {
            failure("42501", () -> run(simple, SECRETS));
            check(value(simple, ORDERS).equals(1000L), "after the refusal");
        }
        connection.close();
        watcher.close();

        List<String> steps = new ArrayList<>();
        for (String step : did) {
            steps.add(json(step));
        }
        List<String> seen = new ArrayList<>();
        refusals.forEach((where, report) -> seen.add(json(where) + ": " + report));
        String report = String.format("{\"version\": %s, \"bound\": %s, \"did\": %s, \"refusals\": {%s}}",
            json(org.postgresql.util.DriverInfo.DRIVER_VERSION), BINDING, steps, String.join(", ", seen));
        // Whatever the platform's encoding.
        System.out.write((report + "\n").getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }
}
