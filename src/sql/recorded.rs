//! Facts as they are recorded (the audit log): without values, and read again.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sql::walk::known_kind;
use crate::sql::{Action, ActionName, Facts, Object, Operand, SettingValue};

/// The kind of an object, a word of ours or of PostgreSQL's.
pub(super) mod kind {
    use super::*;

    pub fn serialize<S: Serializer>(kind: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
        let word = String::deserialize(deserializer)?;
        known_kind(&word).ok_or_else(|| D::Error::custom(format!("\"{word}\" is no kind of object")))
    }
}

/// As a policy writes it: `create:index`.
impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Action, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (name, kind) = text.split_once(':').map_or((text.as_str(), None), |(name, kind)| (name, Some(kind)));
        let known = ActionName::ALL.iter().find(|known| known.as_str() == name);
        let Some(name) = known else { return Err(D::Error::custom(format!("\"{text}\" is no action"))) };
        match kind.map(|kind| (kind, known_kind(kind))) {
            None => Ok(Action { name: *name, kind: None }),
            Some((_, Some(kind))) => Ok(Action { name: *name, kind: Some(kind) }),
            Some((kind, None)) => Err(D::Error::custom(format!("\"{kind}\" is no kind of object"))),
        }
    }
}

impl Facts {
    /// The same without what may be somebody's data: values of settings that aren't the server's own, and command lines.
    pub fn without_values(&self) -> Facts {
        let mut facts = self.clone();
        for access in facts.statements.iter_mut().flat_map(|statement| &mut statement.accesses) {
            match &mut access.object {
                Object::Setting { name, value } if holds_data(name) => *value = SettingValue::Unknown,
                Object::Other { kind: "program", name } => name.name = "".into(),
                // It may quote what was not understood.
                Object::Unknown(what) => *what = without_quotation(what).into(),
                Object::Setting { .. }
                | Object::Other { .. }
                | Object::None
                | Object::Relation(_)
                | Object::Function { .. }
                | Object::Role(_)
                | Object::AnyRole
                | Object::Cursor(_) => {}
            }
        }
        facts
    }
}

/// As far as it quotes nothing.
fn without_quotation(what: &str) -> &str {
    let end = what.find(['"', '\'']).unwrap_or(what.len());
    what.get(..end).unwrap_or_default().trim_end()
}

/// Settings of applications hold tokens; some of the server's hold connection strings and command lines.
fn holds_data(setting: &Operand) -> bool {
    match setting {
        Operand::Constant(name) => super::settings::holds_secrets(name),
        Operand::Parameter(_) | Operand::Unknown => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Reading, analyse};

    #[test]
    fn what_is_recorded_is_read_as_it_was() {
        for text in [
            "SELECT a, b.* FROM public.t, b WHERE t.id = $1 LIMIT 1",
            "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 2 RETURNING *",
            "CREATE INDEX i ON t (a); ALTER TABLE t ADD COLUMN c int; DROP FUNCTION f",
            "SET search_path = a, b; RESET ALL; SET ROLE x; SET LOCAL work_mem TO DEFAULT",
            "PREPARE p AS SELECT 1; EXECUTE p; DECLARE c CURSOR WITH HOLD FOR SELECT 1; FETCH c; CLOSE ALL",
            "NOTIFY x; LISTEN y; COPY t FROM '/tmp/x'; GRANT ALL ON ALL TABLES IN SCHEMA s TO r",
            "SELECT set_config($1, $2, true), f(x), u.onrow FROM u",
            "",
        ] {
            let facts = analyse(text, Reading::default()).unwrap().facts;
            let json = serde_json::to_string(&facts).unwrap();
            let again: Facts = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
            assert_eq!(again, Facts { hash: None, parts: Box::default(), ..facts }, "{json}");
        }
    }

    #[test]
    fn what_is_recorded_holds_no_values() {
        for text in [
            "SELECT a FROM t WHERE b = 'hunter2'",
            "SET app.token = 'hunter2'",
            "SELECT set_config('request.jwt', 'hunter2', true)",
            "COPY t FROM PROGRAM 'curl hunter2'",
            "ALTER SYSTEM SET primary_conninfo = 'hunter2'",
            "INSERT INTO t VALUES ('hunter2')",
            "ALTER ROLE x PASSWORD 'hunter2'",
            "NOTIFY c, 'hunter2'",
            "DO $$ begin 'hunter2'; end $$",
            "DO 'hunter2'",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 'a' 'hunter2' FROM $$",
        ] {
            let facts = analyse(text, Reading::default()).unwrap().facts.without_values();
            let json = serde_json::to_string(&facts).unwrap();
            assert!(!json.contains("hunter2"), "{text}: {json}");
            let _: Facts = serde_json::from_str(&json).unwrap();
        }
    }

    #[test]
    fn what_is_no_record_is_said() {
        for (json, said) in [
            (r#"{"statements":[{"accesses":[{"action":"fly"}]}]}"#, "\"fly\" is no action"),
            (r#"{"statements":[{"accesses":[{"action":"create:castle"}]}]}"#, "\"castle\" is no kind"),
            (r#"{"statements":[{"wings":2}]}"#, "unknown field"),
        ] {
            let error = serde_json::from_str::<Facts>(json).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
