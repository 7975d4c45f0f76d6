//! Group J: around the wire.

use super::{Attack, Fence, Harm, Seen, Step, Way};

pub const ATTACKS: &[Attack] = &[
    Attack {
        code: "J1",
        name: "direct_connection",
        title: "A connection to the server itself, a replica, its Unix socket, or another pooler",
        stopped_by: "pg_hba.conf and the network: the server admits applications from the firewall only",
        seen: Seen::Never {
            why: "it does not come by",
            doctor: "lines of pg_hba.conf that admit the users of policies from anywhere but the firewall, and addresses \
                     and sockets that the server listens on besides",
        },
    },
    Attack {
        code: "J2",
        name: "server_side_loopback",
        title: "The server connects to itself by trust or peer",
        stopped_by: "functions that open connections need a rule (A13); the server should trust nobody on localhost",
        seen: Seen::Never {
            why: "the second connection is made inside the server's machine",
            doctor: "lines of pg_hba.conf with trust or peer for local connections, and installed extensions that connect \
                     (dblink, postgres_fdw)",
        },
    },
    Attack {
        code: "J3",
        name: "jobs_on_the_server",
        title: "Scheduled jobs and background workers run SQL of their own",
        stopped_by: "what schedules them is judged (C16); what is scheduled already runs",
        seen: Seen::Never {
            why: "background workers, pg_cron and autovacuum never cross the wire",
            doctor: "tables of pg_cron, pgAgent and their like, indexes and generated columns whose expressions call \
                     functions that others may replace",
        },
    },
    Attack {
        code: "J4",
        name: "logical_replication_out",
        title: "A publication and a slot, made once, carry the data out for ever",
        stopped_by: "publications, subscriptions and slots need rules, replication connections a policy of their own",
        seen: Seen::Wire(&[
            Way::new(
                "CREATE PUBLICATION",
                Fence::Deed("CREATE PUBLICATION out_openly FOR ALL TABLES"),
                &[Step::Sql("CREATE PUBLICATION portcullis_out FOR ALL TABLES")],
                Harm::Changes,
            ),
            Way::new(
                "pg_create_logical_replication_slot",
                Fence::Always,
                &[Step::Sql("SELECT slot_name FROM pg_create_logical_replication_slot('portcullis_j4', 'pgoutput')")],
                Harm::Changes,
            )
            .undo("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'portcullis_j4'"),
            Way::new(
                "changes read by a function",
                Fence::Always,
                &[Step::Sql(
                    "SELECT count(*) >= 0 FROM pg_logical_slot_peek_binary_changes('portcullis_j4', NULL, NULL, \
                     'proto_version', '1', 'publication_names', 'p')",
                )],
                Harm::Runs,
            )
            .setup("SELECT pg_create_logical_replication_slot('portcullis_j4', 'pgoutput')")
            .undo("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'portcullis_j4'"),
            Way::new(
                "CREATE SUBSCRIPTION",
                Fence::Always,
                &[Step::Sql(
                    "CREATE SUBSCRIPTION portcullis_in CONNECTION 'host=127.0.0.1 dbname=none' PUBLICATION p \
                     WITH (connect = false)",
                )],
                Harm::Changes,
            )
            .undo(
                "DO $$ BEGIN IF EXISTS (SELECT FROM pg_subscription WHERE subname = 'portcullis_in') THEN ALTER SUBSCRIPTION \
                 portcullis_in SET (slot_name = NONE); \
                 DROP SUBSCRIPTION portcullis_in; END IF; END $$",
            ),
        ]),
    },
    Attack {
        code: "J5",
        name: "foreign_tables",
        title: "Another database's data under a local name",
        stopped_by: "making one needs rules (B20); one that is there is a table like any other to the firewall",
        seen: Seen::Never {
            why: "a statement shows the name of a table, not where its rows live",
            doctor: "foreign tables in the schemas that policies allow, with the servers that they lead to",
        },
    },
];
