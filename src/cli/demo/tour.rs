//! The tour of the demo: what an application, a mistake and an attacker see.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;

use super::{DemoError, Firewall, POLICY, Shop, go_on, say};

/// One stop of the tour.
struct Step {
    /// What is shown, as a heading.
    title: &'static str,
    /// What to know about it.
    story: &'static str,
    sql: &'static str,
    /// Whether the firewall must refuse it.
    refused: bool,
}

/// What a form makes of `' OR 1=1 UNION … --` as an e-mail address when the application glues its SQL together.
const STEPS: [Step; 4] = [
    Step {
        title: "An ordinary query",
        story: "The policy lets it pass; the database answers as if nobody stood in between.",
        sql: "SELECT name, price FROM products ORDER BY price",
        refused: false,
    },
    Step {
        title: "DROP TABLE",
        story: "shop_app owns this table: PostgreSQL alone would drop it. No rule of the policy allows it.",
        sql: "DROP TABLE orders",
        refused: true,
    },
    Step {
        title: "A forgotten WHERE",
        story: "DELETE is allowed on orders, but not all of them at once: the rule unbounded-write says so.",
        sql: "DELETE FROM orders",
        refused: true,
    },
    Step {
        title: "An injected login",
        story: "Somebody typed  ' OR 1=1 UNION SELECT 1, passwd FROM pg_shadow --  as their e-mail address.",
        sql: "SELECT id, email FROM accounts WHERE email = '' OR 1=1 UNION SELECT 1, passwd FROM pg_shadow \
              --' AND password_hash = 'x'",
        refused: true,
    },
];

/// The counters that the tour shows, where they aren't zero.
const COUNTERS: [&str; 4] = [
    "portcullis_statements_total",
    "portcullis_refusals_total",
    "portcullis_security_events_total",
    "portcullis_injection_attempts_total",
];

/// Plays it. It fails where the firewall doesn't do what the tour says it does.
pub(super) fn play(
    out: &mut impl Write,
    shop: &Shop,
    firewall: &Firewall,
    stop: &Receiver<()>,
) -> Result<(), DemoError> {
    say(out, "\nThe policy that the application `shop_app` is under:\n")?;
    say(out, &indented(POLICY))?;
    for (number, step) in (1..).zip(&STEPS) {
        go_on(stop)?;
        say(out, &format!("\n{number}. {}\n   {}\n", step.title, step.story))?;
        say(out, &format!("   shop=> {};", step.sql))?;
        let (passed, answer) = psql(shop, firewall.port, step.sql)?;
        say(out, &indented(&answer))?;
        let refused = !passed && answer.contains("42501") && answer.contains("refused by policy");
        if refused != step.refused || passed == step.refused {
            let expected = if step.refused { "refused" } else { "allowed" };
            return Err(DemoError::Tour(format!("`{}` was not {expected}", step.sql)));
        }
    }
    let Some((_, metrics)) = firewall.get("/metrics") else {
        return Err(DemoError::Tour("/metrics does not answer".to_owned()));
    };
    say(out, &format!("\nWhat Prometheus sees at http://127.0.0.1:{}/metrics:\n", firewall.admin))?;
    let shown = |line: &&str| COUNTERS.iter().any(|name| line.starts_with(name)) && !line.ends_with(" 0");
    for line in metrics.lines().filter(shown) {
        say(out, &format!("   {line}"))?;
    }
    if !metrics.lines().filter(shown).any(|line| line.starts_with("portcullis_injection_attempts_total")) {
        return Err(DemoError::Tour("the injected login was not counted".to_owned()));
    }
    Ok(())
}

/// Runs one statement through the firewall as the application, by psql: whether it passed, and what psql printed.
fn psql(shop: &Shop, port: u16, sql: &str) -> Result<(bool, String), DemoError> {
    let mut command = Command::new(shop.cluster.binaries().tool("psql"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    command.args(["-X", "-q", "-v", "VERBOSITY=verbose", "-c", sql, &shop.url(port)]).stdin(Stdio::null());
    let output = command.output().map_err(|source| DemoError::Io { what: "can't run psql", source })?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&text).trim_end().to_owned()))
}

/// Every line with three blanks before it.
fn indented(text: &str) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(|line| format!("   {line}").trim_end().to_owned()).collect();
    lines.join("\n")
}
