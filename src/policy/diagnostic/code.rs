//! The codes of findings, in one table. A number is never given twice and never changes: people search for it, and CI
//! systems filter by it. What each code means for a reader stands in `pages`.

use std::fmt;
use std::str::FromStr;

use crate::policy::diagnostic::{Severity, did_you_mean};

macro_rules! codes {
    ($($number:literal $variant:ident $name:literal $severity:ident $title:literal,)+) => {
        /// What kind of finding it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $title] $variant = $number,)+ }

        impl Code {
            /// Every code, by number.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)+];
            /// A short name, as stable as the number.
            pub fn name(self) -> &'static str { match self { $(Code::$variant => $name,)+ } }
            /// Whether a set with such a finding is loaded.
            pub fn severity(self) -> Severity { match self { $(Code::$variant => Severity::$severity,)+ } }
            /// What it says, in a few words.
            pub fn title(self) -> &'static str { match self { $(Code::$variant => $title,)+ } }
        }
    };
}

codes! {
    // Files.
    1 Unreadable "unreadable" Error "a file or directory can't be read",
    2 NoPolicyFiles "no-policy-files" Error "a directory holds no policy",
    3 NotText "not-text" Error "a file is not UTF-8 text",
    4 NotYaml "not-yaml" Error "a file is no YAML",
    5 DuplicateKey "duplicate-key" Error "a key stands twice",
    6 RefusedYaml "refused-yaml" Error "YAML that policies don't take",
    7 NoPolicy "no-policy" Error "a file holds nothing",
    // Keys and values.
    8 MissingKey "missing-key" Error "a key is missing",
    9 UnknownKey "unknown-key" Error "a key that there is not",
    // 10 was a key of a later release.
    11 WrongShape "wrong-shape" Error "a list, a value or a mapping in the wrong place",
    12 UnknownAction "unknown-action" Error "an action that there is not",
    13 UnknownWord "unknown-word" Error "a word that the key does not take",
    14 EmptyList "empty-list" Error "an empty list",
    15 BadValue "bad-value" Error "a number, size, time or rate that is none",
    16 BadHours "bad-hours" Error "hours that can't be read",
    17 UnknownTimeZone "unknown-time-zone" Error "a time zone that there is not",
    18 BadNetwork "bad-network" Error "an address or network that is none",
    19 BadName "bad-name" Error "a name that can't be one",
    20 ReservedName "reserved-name" Error "a name with a meaning of its own",
    21 BadPattern "bad-pattern" Error "a table, function or column that can't be read",
    // Actions.
    22 UnnameableAction "unnameable-action" Error "an action that no rule can name",
    23 UnknownKind "unknown-kind" Error "a kind that the action does not have",
    24 AllowsEverything "allows-everything" Warning "a rule allows every action",
    // Rules.
    25 NoActions "no-actions" Error "an allow rule without actions",
    26 NoObjects "no-objects" Warning "an allow rule without objects",
    27 DeniesEverything "denies-everything" Warning "a deny rule that refuses everything",
    28 DenyOnly "deny-only" Error "what belongs to deny rules in an allow rule",
    29 FriendlyName "friendly-name" Warning "an allow rule that trusts application_name",
    30 UselessName "useless-name" Error "a deny rule that trusts application_name",
    31 ColumnsOfReads "columns-of-reads" Warning "denied columns that writes can read",
    32 WhereOfOthers "where-of-others" Error "`where: missing` of actions without WHERE",
    33 RolesMissing "roles-missing" Error "set_role without roles",
    34 DelayAndTerminate "delay-and-terminate" Error "a delay of a session that ends",
    35 NeverHolds "never-holds" Error "a time that never comes",
    36 MisplacedList "misplaced-list" Error "a list of statements in the wrong place",
    37 UnreadableList "unreadable-list" Error "a list of statements that can't be read",
    38 BadList "bad-list" Error "a list of statements that is none",
    // Settings.
    39 UnknownSetting "unknown-setting" Error "a setting that the server does not have",
    40 RoleIsNoSetting "role-is-no-setting" Error "the role as a setting",
    41 UnsafeSetting "unsafe-setting" Error "a setting that can't be allowed at this value",
    42 GuardedSetting "guarded-setting" Warning "a guarded setting without its value",
    43 NotPinnable "not-pinnable" Error "a setting that can't be pinned",
    44 BadPin "bad-pin" Error "a value that the pinned setting does not take",
    45 PinnedTwice "pinned-twice" Error "a setting that is pinned twice",
    46 BadSearchPath "bad-search-path" Error "a search_path that can't be one",
    47 TempWithoutPath "temp-without-path" Error "temporary tables without a search_path",
    // Detection.
    48 Thresholds "thresholds" Error "thresholds in the wrong order",
    49 ServersDecoy "servers-decoy" Error "a decoy that is the server's own",
    50 EverythingDecoy "everything-decoy" Warning "a decoy that is every table",
    // Between policies.
    51 RuleTwice "rule-twice" Error "two rules of one name",
    52 PolicyTwice "policy-twice" Error "two policies of one name",
    53 Contradiction "contradiction" Error "policies for one user that contradict each other",
    54 PossibleContradiction "possible-contradiction" Warning "policies that may contradict each other",
    55 Widening "widening" Warning "policies that widen each other",
    56 OnlyObserved "only-observed" Warning "users whom nothing refuses",
    57 LonelyName "lonely-name" Warning "a name that looks misspelt",
    // Tests.
    58 BadTest "bad-test" Error "a test that asks nothing",
    59 UnknownRule "unknown-rule" Error "a test names a rule that there is not",
    60 UnknownPolicy "unknown-policy" Error "tests of a policy that there is not",
    61 TestFailed "test-failed" Error "a test failed",
    62 TestsNotRun "tests-not-run" Error "the tests could not be run",
    // Added later.
    63 NothingInCommon "nothing-in-common" Error "actions and objects that don't go together",
    64 AllowedDecoy "allowed-decoy" Warning "a decoy that a rule allows",
    65 NeverMet "never-met" Error "requirements that no session can meet",
}

impl Code {
    /// The number in `PC0012`.
    pub fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PC{:04}", self.number())
    }
}

/// No such code.
#[derive(Debug, thiserror::Error)]
#[error("there is no code \"{text}\"{}", near.map(|near| format!(", did you mean {near}?")).unwrap_or_default())]
pub struct UnknownCode {
    text: String,
    near: Option<Code>,
}

/// `PC0012`, `pc12`, `12`, or `unknown-action`.
impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Code, UnknownCode> {
        let lower = text.trim().to_ascii_lowercase();
        let number = lower.strip_prefix("pc").unwrap_or(&lower).parse::<u16>().ok();
        let found = Code::ALL.iter().copied().find(|code| Some(code.number()) == number || code.name() == lower);
        found.ok_or_else(|| {
            let near = did_you_mean(&lower, Code::ALL.iter().map(|code| code.name()));
            let near = near.and_then(|near| Code::ALL.iter().copied().find(|code| code.name() == near));
            UnknownCode { text: text.to_owned(), near }
        })
    }
}
