//! Whose policies are attacked, as whom, and at what.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::attacks::{OWN_USER, Target};
use crate::policy::{Arrival, Identity, Moment, Parameters, PolicySet, SessionPolicy, Verdict};
use crate::selftest::OWN_POLICY;
use crate::sql;

/// One policy with the session that tries to get past it.
#[derive(Debug, Clone)]
pub struct Subject {
    pub policy: Arc<str>,
    pub file: Arc<str>,
    /// False: the policy only observes, and stops nothing.
    pub enforces: bool,
    pub identity: Identity,
    pub target: Target,
}

/// The database of attacked sessions whose policy names none.
const DATABASE: &str = "portcullis_selftest";

/// The policies of a set, each with a session that it matches, aimed at a table that the session may read.
pub fn subjects(set: &Arc<PolicySet>) -> Vec<Subject> {
    let sessions = set.sample_sessions(DATABASE);
    sessions
        .into_iter()
        .map(|sample| {
            let session = set.admit(&sample.identity).ok();
            let readable = |(schema, table): &&(String, String)| {
                let sql = format!("SELECT id, name FROM {schema}.{table} WHERE id = 1");
                session.as_ref().is_some_and(|session| allows(session, &sql))
            };
            let found = sample.tables.iter().find(readable).cloned();
            let (schema, users) = found.unwrap_or_else(|| (sample.schema.clone(), "users".to_owned()));
            Subject {
                policy: sample.policy,
                file: sample.file,
                enforces: session.as_ref().is_some_and(SessionPolicy::enforces) && sample.enforces,
                target: Target {
                    users,
                    schema,
                    role: sample.identity.user.clone(),
                    database: sample.identity.database.clone(),
                    password: String::new(),
                },
                identity: sample.identity,
            }
        })
        .collect()
}

/// Whether a session lets a statement pass.
pub fn allows(session: &SessionPolicy, sql: &str) -> bool {
    let Ok(analysis) = sql::analyse(sql, sql::Reading::default()) else { return false };
    let moment = Moment::now(false, Parameters::None);
    // What an observing policy beside it would have done lets it pass all the same.
    matches!(session.judge(&analysis.facts, moment).verdict, Verdict::Allow(_))
}

/// The subject of attacks on the catalogue's own policies.
pub fn own_subject() -> Subject {
    let target = Target {
        users: "users".to_owned(),
        schema: "public".to_owned(),
        role: OWN_USER.to_owned(),
        database: DATABASE.to_owned(),
        password: String::new(),
    };
    let identity = Identity {
        user: target.role.clone(),
        database: target.database.clone(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        tls: false,
        replication: false,
        arrival: Arrival::default(),
    };
    Subject { policy: OWN_POLICY.into(), file: OWN_POLICY.into(), enforces: true, identity, target }
}
